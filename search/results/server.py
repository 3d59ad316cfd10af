"""A study on a database server: while the server is away, what is asked of it waits and is asked again.

A server is restarted now and then, and a network fails. A search that waits loses nothing: its workers wait with it.
"""

import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState

from search.results.gathering import Ending, GatheringStorage, Write

PAUSE_SECONDS = 0.5  # before it is asked again
CONNECT_SECONDS = 10  # for an answer to a new connection
STEPS = (  # the methods by which Optuna reads and writes a study, but for those that `ServerStorage` has itself
    *("create_new_study", "get_all_studies", "get_study_id_from_name", "get_study_name_from_id"),
    *("get_study_directions", "get_study_user_attrs", "get_study_system_attrs"),
    *("set_study_user_attr", "set_study_system_attr"),
    *("get_trial", "get_trial_id_from_study_id_trial_number", "_get_trials"),
    "_set_trial_param",
)

T = TypeVar("T")
logger = logging.getLogger(__name__)


class ServerStorage(GatheringStorage):
    """Waits up to `patience` seconds whenever the server is away. place: the database, as it may be shown.

    A step whose answer was lost may have been recorded. Those that would come out otherwise the second time look first.
    """

    def __init__(self, url: str, place: str, patience: float, **options: Any) -> None:  # noqa: ANN401
        logging.getLogger("optuna.storages._rdb.storage").setLevel(logging.ERROR)  # it tells of each failure at length
        super().__init__(url, **options)
        self.place, self.patience = place, patience
        self._tries = 0  # at recording the trial that is being made

    def until_back(self, step: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        """What `step` gives, or from the second time on `again`.

        Raises Optuna's StorageInternalError where the server stays away, and whatever else the steps raise.
        """
        began, told = time.monotonic(), False
        while True:
            try:
                return again() if again and told else step()
            except StorageInternalError as error:
                if not is_away(error) or time.monotonic() - began > self.patience:
                    raise
            if not told:
                logger.info(f"waiting for {self.place}: it does not answer")
                told = True
            time.sleep(PAUSE_SECONDS)

    def _record(self, writes: Sequence[Write], ending: Ending | None) -> None:
        """As for a file; waits. A trial that has the state by now was recorded the first time."""
        step = functools.partial(super()._record, writes, ending)
        self.until_back(step, lambda: (ending is not None and self._has_state(*ending)) or step())

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Any = None) -> bool:  # noqa: ANN401
        """As Optuna's. A trial that has the state by now was given it the first time: it has one search alone."""
        step = functools.partial(super().set_trial_state_values, trial_id, state, values)
        return self.until_back(step, lambda: self._has_state(trial_id, state) or step())

    def _has_state(self, trial_id: int, state: TrialState) -> bool:
        return RDBStorage.get_trial(self, trial_id).state == state

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        self._tries = 0
        return self.until_back(functools.partial(super()._create_new_trial, study_id, template_trial))

    def _get_prepared_new_trial(self, study_id: int, template_trial: FrozenTrial | None, session: Any) -> Any:  # noqa: ANN401
        """As Optuna's, which tries several times. The latest trial may be the one that was to be made."""
        self._tries += 1
        if self._tries > 1 and (latest := self._latest(study_id, session)) is not None:
            made = self._build_frozen_trial_from_trial_model(latest)
            if _content(made) == _content(template_trial):
                return latest
        return super()._get_prepared_new_trial(study_id, template_trial, session)

    def _latest(self, study_id: int, session: Any) -> Any:  # noqa: ANN401
        of_study = session.query(models.TrialModel).filter(models.TrialModel.study_id == study_id)
        return of_study.order_by(models.TrialModel.trial_id.desc()).first()


def is_away(error: BaseException) -> bool:
    """Whether an error of Optuna's comes from a server that does not answer, for the time being perhaps."""
    cause = error.__cause__
    lost = isinstance(cause, sqlalchemy.exc.DBAPIError) and cause.connection_invalidated
    return lost or isinstance(cause, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError)


def _content(trial: FrozenTrial | None) -> tuple[Any, ...]:
    """What tells a trial that was just made from others; None for one that is to be drawn."""
    if trial is None:
        return TrialState.RUNNING, {}, {}, {}
    return trial.state, trial.params, trial.user_attrs, trial.system_attrs


def _patient(name: str) -> Callable[..., Any]:
    """Optuna's method of that name, which waits."""
    step = getattr(GatheringStorage, name)

    @functools.wraps(step)
    def waiting(self: ServerStorage, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        return self.until_back(functools.partial(step, self, *arguments, **named))

    return waiting


for _name in STEPS:
    setattr(ServerStorage, _name, _patient(_name))
