"""A study's database, in which what belongs together is written together.

Optuna writes each attribute and each parameter of a trial in a transaction of its own, and looks up the trial before
each. A trial of a search has thirty of them. It also reads all running trials anew at each step.
"""

import contextlib
import copy
import json
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution, check_distribution_compatibility, distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState

NAMES: Mapping[Any, str] = {  # of the tables to write to, and what tells the rows of a trial apart
    models.TrialUserAttributeModel: "key",
    models.TrialSystemAttributeModel: "key",
    models.TrialParamModel: "param_name",
    models.TrialValueModel: "objective",
}
LARGEST_ID = 2**31 - 1  # of a trial
UNSYNCHRONIZED = {"synchronize_session": False}  # a session lasts no longer than its transaction
Write = tuple[Any, dict[str, Any]]  # the table, and a row
Ending = tuple[int, TrialState]  # a trial, and the state that it ends in


class GatheringStorage(RDBStorage):
    """Optuna's, but for how attributes and parameters of trials are written. Optuna has no public way for several.

    Only those running trials are read to which something was written since: a study has one search, and this is its
    process. That somebody else has ended one is seen at once.
    """

    def __init__(self, url: str, **options: Any) -> None:  # noqa: ANN401
        super().__init__(url, **options)
        self._writes: list[Write] = []  # still to be recorded
        self._gathering = False
        self._known: dict[int, FrozenTrial] = {}  # trials that were made or read while gathering
        self._read: set[int] = set()  # running trials that are as they were when they were read last

    @contextlib.contextmanager
    def gathered(self) -> Iterator[None]:
        """See `together`."""
        self._gathering = True
        try:
            yield
            self._flush()
        finally:
            self._gathering, self._writes, self._known = False, [], {}

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:  # noqa: ANN401
        """As Optuna's."""
        self._write(models.TrialUserAttributeModel, trial_id=trial_id, key=key, value_json=json.dumps(value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:  # noqa: ANN401
        """As Optuna's."""
        self._write(models.TrialSystemAttributeModel, trial_id=trial_id, key=key, value_json=json.dumps(value))

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Any = None) -> bool:  # noqa: ANN401
        """As Optuna's; a trial that ends while gathering ends in the transaction of what was gathered."""
        if self._gathering and state.is_finished():
            for objective, value in enumerate(values or ()):
                row = dict(
                    zip(("value", "value_type"), models.TrialValueModel.value_to_stored_repr(value), strict=True)
                )
                self._write(models.TrialValueModel, trial_id=trial_id, objective=objective, **row)
            self._flush((trial_id, state))
            return True
        self._flush()
        self._known.pop(trial_id, None)
        self._read.discard(trial_id)
        return super().set_trial_state_values(trial_id, state, values)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """As Optuna's. Read once while gathering, so without what is written meanwhile."""
        trial = self._known.get(trial_id) or super().get_trial(trial_id)
        if self._gathering:
            self._known[trial_id] = trial
        return trial

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        trial = super()._create_new_trial(study_id, template_trial)
        if self._gathering:
            self._known[trial._trial_id] = copy.deepcopy(trial)  # for Optuna writes to what it reads
        return trial

    def _set_trial_param(
        self, trial_id: int, name: str, value: float, distribution: BaseDistribution, previous: BaseDistribution | None
    ) -> None:
        if previous is None:  # Optuna looks whether another trial has it
            self._read.discard(trial_id)
            return super()._set_trial_param(trial_id, name, value, distribution, None)
        check_distribution_compatibility(previous, distribution)
        row = {"param_value": value, "distribution_json": distribution_to_json(distribution)}
        return self._write(models.TrialParamModel, trial_id=trial_id, param_name=name, **row)

    def _write(self, table: Any, **row: Any) -> None:  # noqa: ANN401
        self._writes.append((table, row))
        if not self._gathering:
            self._flush()

    def _flush(self, ending: Ending | None = None) -> None:
        writes, self._writes = self._writes, []
        if writes or ending:
            self._read -= {row["trial_id"] for _, row in writes} | set(ending[:1] if ending else ())
            self._record(writes, ending)

    def _record(self, writes: Sequence[Write], ending: Ending | None) -> None:
        """In one transaction, which may be done twice. Raises UpdateFinishedTrialError where a trial has ended."""
        ended = dict([ending] if ending else [])
        with _create_scoped_session(self.scoped_session) as session:
            for trial_id in ended.keys() | {row["trial_id"] for _, row in writes}:
                trial: Any = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)
                self.check_trial_is_updatable(trial_id, trial.state)
                if trial_id in ended:
                    trial.state, trial.datetime_complete = ended[trial_id], datetime.now()
            for table, name in NAMES.items():
                rows = {(row["trial_id"], row[name]): row for kind, row in writes if kind is table}
                if rows:
                    known = sqlalchemy.tuple_(table.trial_id, getattr(table, name)).in_(list(rows))
                    session.execute(sqlalchemy.delete(table).where(known), execution_options=UNSYNCHRONIZED)
                    session.execute(sqlalchemy.insert(table), list(rows.values()))

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """As Optuna's, but for running trials that its cache has as they are."""
        if not (self._read or self._known) or states is not None:
            trials = super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)
        else:
            news = self._news(study_id, included_trial_ids, trial_id_greater_than)
            trials = super()._get_trials(study_id, None, news, LARGEST_ID) if news else []
        self._read |= {trial._trial_id for trial in trials if trial.state == TrialState.RUNNING}
        return trials

    def _news(self, study_id: int, included: set[int], greater_than: int) -> set[int]:
        """The trials that have to be read, by id: those in `included` and the later ones, but for those in `_read`.

        None where the only one is still being written to here: it is read once that is recorded.
        """
        trial = models.TrialModel
        asked_for = sqlalchemy.or_(trial.trial_id.in_(included), trial.trial_id > greater_than)
        with _create_scoped_session(self.scoped_session) as session:
            found = session.query(trial.trial_id, trial.state).filter(trial.study_id == study_id, asked_for).all()
        running = {number for number, state in found if state == TrialState.RUNNING}
        news = {number for number, _ in found} - (running & self._read)
        return set() if news <= running & self._known.keys() else news


@contextlib.contextmanager
def together(study: optuna.Study) -> Iterator[None]:
    """What is written to trials meanwhile is written in one transaction, at the end or as a trial ends."""
    storage = getattr(study._storage, "_backend", None)
    with storage.gathered() if isinstance(storage, GatheringStorage) else contextlib.nullcontext():
        yield
