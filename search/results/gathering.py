"""A study's database, in which what belongs together is written together.

Optuna writes each attribute and each parameter of a trial in a transaction of its own, and looks up the trial before
each. A trial of a search has thirty of them.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution, check_distribution_compatibility, distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import TrialState

NAMES: Mapping[Any, str] = {  # of the tables to write to, and what tells the rows of a trial apart
    models.TrialUserAttributeModel: "key",
    models.TrialSystemAttributeModel: "key",
    models.TrialParamModel: "param_name",
}
UNSYNCHRONIZED = {"synchronize_session": False}  # a session lasts no longer than its transaction
Write = tuple[Any, dict[str, Any]]  # the table, and a row


class GatheringStorage(RDBStorage):
    """Optuna's, but for how attributes and parameters of trials are written. Optuna has no public way for several."""

    def __init__(self, url: str, **options: Any) -> None:  # noqa: ANN401
        super().__init__(url, **options)
        self._writes: list[Write] = []  # still to be recorded
        self._gathering = False

    @contextlib.contextmanager
    def gathered(self) -> Iterator[None]:
        """See `together`."""
        self._gathering = True
        try:
            yield
            self._flush()
        finally:
            self._gathering, self._writes = False, []

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:  # noqa: ANN401
        """As Optuna's."""
        self._write(models.TrialUserAttributeModel, trial_id=trial_id, key=key, value_json=json.dumps(value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:  # noqa: ANN401
        """As Optuna's."""
        self._write(models.TrialSystemAttributeModel, trial_id=trial_id, key=key, value_json=json.dumps(value))

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Any = None) -> bool:  # noqa: ANN401
        """As Optuna's, after what is still to be recorded: nothing can be written to a trial that has ended."""
        self._flush()
        return super().set_trial_state_values(trial_id, state, values)

    def _set_trial_param(
        self, trial_id: int, name: str, value: float, distribution: BaseDistribution, previous: BaseDistribution | None
    ) -> None:
        if previous is None:  # Optuna looks whether another trial has it
            return super()._set_trial_param(trial_id, name, value, distribution, None)
        check_distribution_compatibility(previous, distribution)
        row = {"param_value": value, "distribution_json": distribution_to_json(distribution)}
        return self._write(models.TrialParamModel, trial_id=trial_id, param_name=name, **row)

    def _write(self, table: Any, **row: Any) -> None:  # noqa: ANN401
        self._writes.append((table, row))
        if not self._gathering:
            self._flush()

    def _flush(self) -> None:
        writes, self._writes = self._writes, []
        if writes:
            self._record(writes)

    def _record(self, writes: Sequence[Write]) -> None:
        """In one transaction, which may be done twice. Raises UpdateFinishedTrialError where a trial has ended."""
        with _create_scoped_session(self.scoped_session) as session:
            for trial_id in {row["trial_id"] for _, row in writes}:
                trial: Any = models.TrialModel.find_or_raise_by_id(trial_id, session)
                self.check_trial_is_updatable(trial_id, trial.state)
            for table, name in NAMES.items():
                rows = {(row["trial_id"], row[name]): row for kind, row in writes if kind is table}
                if rows:
                    known = sqlalchemy.tuple_(table.trial_id, getattr(table, name)).in_(list(rows))
                    session.execute(sqlalchemy.delete(table).where(known), execution_options=UNSYNCHRONIZED)
                    session.execute(sqlalchemy.insert(table), list(rows.values()))


@contextlib.contextmanager
def together(study: optuna.Study) -> Iterator[None]:
    """What is written to trials meanwhile is written in one transaction, at the end or before a trial ends."""
    storage = getattr(study._storage, "_backend", None)
    with storage.gathered() if isinstance(storage, GatheringStorage) else contextlib.nullcontext():
        yield
