"""The study that a search writes to: all writing to Optuna's storage is here, the dashboard's notes apart.

One process, the parent of the workers, asks and tells. So no two workers can draw the same parameters, and
no database is fought over.
"""

import contextlib
import gc
import logging
import math
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from search.choice.constraints import Constraints
from search.choice.run import Run
from search.errors import UserError
from search.measurement import History
from search.recording.asking import next_trial
from search.recording.ending import attributes_of, result_of, state_of, violations_of
from search.recording.resume import next_lineage, put_back, queue_further, requeue, requeue_running
from search.results.gathering import together
from search.results.schema import CONTINUES, LINEAGE, SCHEMA, START, StudyAttribute, storable_history
from search.results.snapshot import StudySnapshot, read_snapshot
from search.results.storage import create_study
from search.results.trial_result import TrialResult
from search.sampling.sampler import ScalarizingSampler
from search.settings import shown_name, shown_value
from search.training.trial import Job, Outcome

logger = logging.getLogger(__name__)

METRICS = ["val_loss", "gap"]
LIVE_SECONDS, MOST_LIVE_SECONDS = 2.0, 60.0  # between two times that a running trial's curves are stored
LIVE_SHARE = 0.05  # of this process's time, which storing those of all running trials may take


class EndedOutside(Exception):
    """Somebody has ended a running trial, in the dashboard perhaps."""


class Store:
    """A study with two objectives, and the trials of it that are running.

    folder: the run folder, where it writes files.

    Raises UserError where the storage cannot be opened, or another study has its files in that folder.
    """

    def __init__(self, url: str, name: str, seed: int, folder: Path | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = create_study(url, name, folder=folder)
        self.describe(StudyAttribute.SCHEMA, SCHEMA)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study.set_metric_names(METRICS)
        self._seed = seed
        with _no_collection():
            self._next_lineage = next_lineage(self.study)
        self._begun = self._next_lineage > 0  # whether an earlier start has begun a trial
        if StudyAttribute.IDENTITY not in self.study.user_attrs:
            self.describe(StudyAttribute.IDENTITY, {"id": uuid.uuid4().hex})
        self.identity = self.study.user_attrs[StudyAttribute.IDENTITY]["id"]
        ended = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        self._ended = sum(CONTINUES not in trial.user_attrs for trial in ended)
        self._planned: int | None = None  # epochs of a whole run
        self._running: dict[int, Trial] = {}
        self._continues: dict[int, int] = {}  # of the running trials those that take a finished one further, and which
        self._stored_at: dict[int, float] = {}
        self._live_seconds = LIVE_SECONDS
        self._further = True  # whether a trial that takes a finished one further may be queued
        self._first: dict[str, dict[str, Any]] = {}  # what is tried first, by name: those that were not queued yet

    def snapshot(self) -> StudySnapshot:
        """What the study says now."""
        return read_snapshot(self.study)

    def settle(self, settings: Mapping[str, Any]) -> None:
        """Record what makes runs comparable, or check it against what an earlier start recorded that began a trial.

        Raises UserError that names the first difference.
        """
        recorded = self.study.user_attrs.get(StudyAttribute.SETTINGS)
        if recorded is None or not self._begun:
            self.study.set_user_attr(StudyAttribute.SETTINGS, dict(settings))
            return
        for key in [*settings, *(recorded.keys() - settings.keys())]:
            before, now = recorded.get(key), settings.get(key)
            if before != now:
                raise UserError(
                    f"{shown_name(key)} was {shown_value(before)} when this search began and is "
                    f"{shown_value(now)} now, so its runs cannot be compared; go back to that, or start anew with "
                    f"another --out"
                )

    def remember(self, key: StudyAttribute, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """What an earlier start that began a trial recorded under `key`, or else what `make()` gives, recorded now."""
        if key not in self.study.user_attrs or not self._begun:
            self.study.set_user_attr(key, dict(make()))
        return dict(self.study.user_attrs[key])

    def describe(self, key: StudyAttribute, content: Mapping[str, Any] | Sequence[Any] | int | None) -> None:
        """Record `content` under `key` in place of what was there, for those who look at the study."""
        if self.study.user_attrs.get(key) != content:
            self.study.set_user_attr(key, content)

    def plan(self, plan: Mapping[str, Any]) -> None:
        """Record what this start is asked for, see `StudySnapshot`."""
        self._planned = plan["epochs"]
        self.describe(StudyAttribute.PLAN, plan)

    def begin_with(self, first: Mapping[str, Mapping[str, Any]]) -> bool:
        """Have a new search try these parameters first, in that order; False where it has begun already.

        They are recorded at once, so that a search that was killed goes on with those that it had not yet tried.
        """
        recorded = self.remember(StudyAttribute.START, lambda: {} if self._begun else first)
        queued = {trial.user_attrs.get(START) for trial in self.study.get_trials(deepcopy=False)}
        self._first = {name: params for name, params in recorded.items() if name not in queued}
        return not self._begun

    def queue_first(self) -> None:
        """Queue the next of what is tried first, where nothing waits.

        One by one: an interrupted trial, which is queued again, comes before those that it came before.
        """
        if self._first and not self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            name = next(iter(self._first))
            self.study.enqueue_trial(self._first.pop(name), user_attrs={START: name})

    def running(self, number: int) -> Trial:
        """A trial that was asked for here and has not ended."""
        return self._running[number]

    def count(self) -> int:
        """Trials that count towards `--trials`: finished ones and those running here, each configuration once."""
        return self._ended + len(self._running) - len(self._continues)

    def requeue_interrupted(self) -> int:
        """Queue again what an earlier start left running (it was killed); returns how many."""
        return requeue_running(self.study)

    def queue_further(self, number: int) -> None:
        """Queue a trial that takes a finished one further; it does not count towards `--trials`."""
        queue_further(self.study, number)
        self._further = True

    def queued_further(self) -> list[int]:
        """The finished trials that queued ones are to take further, by number."""
        waiting = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return [trial.user_attrs[CONTINUES] for trial in waiting if CONTINUES in trial.user_attrs]

    def further_first(self) -> bool:
        """Have the queue begin with a trial that takes a finished one further; False where it holds none.

        They are looked for where one may have been queued here: at the end of a search this is asked all the time.
        """
        if not self._further:
            return False
        waiting = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        further = [CONTINUES in trial.user_attrs for trial in waiting]
        self._further = any(further)
        if not self._further:
            return False
        for _ in range(further.index(True)):
            put_back(self.study, self._frozen(self.study.ask().number))
        return True

    def continues(self, number: int) -> int | None:
        """The finished trial that a running one takes further, if it does."""
        return self._continues.get(number)

    def ask(self, suggest: Callable[[Trial], dict[str, Any]]) -> tuple[Trial, dict[str, Any], int]:
        """A new trial, its configuration, and its lineage.

        What is drawn depends on the seed, the lineage and the trials that have ended, and on nothing else. So an
        interrupted search with one worker draws what it would have drawn without the interruption.
        """
        seed = int(np.random.SeedSequence([self._seed, self._next_lineage]).generate_state(1)[0])
        self.study.sampler = ScalarizingSampler(seed)
        with together(self.study):
            trial, config = next_trial(self.study, suggest, seed)
            self._running[trial.number] = trial
            lineage = int(trial.user_attrs.get(LINEAGE, self._next_lineage))
            trial.set_user_attr("config", config)
            trial.set_user_attr(LINEAGE, lineage)
        self._next_lineage = max(self._next_lineage, lineage + 1)
        if (continues := trial.user_attrs.get(CONTINUES)) is not None:
            self._continues[trial.number] = continues
        return trial, config, lineage

    def trial_seed(self, lineage: int) -> int:
        """The seed of a trial's initial weights, shuffling and augmentation."""
        return int(np.random.SeedSequence([self._seed, lineage, 1]).generate_state(1)[0])

    def repeat_seed(self, index: int) -> int:
        """A fresh seed (`index` from 1), the same for all trials that are trained again with it."""
        return int(np.random.SeedSequence([self._seed, 0, 1 + index]).generate_state(1)[0])

    def repeat_job(self, number: int, epochs: int, index: int) -> Job:
        """The configuration of an ended trial with a fresh seed."""
        attributes = self._frozen(number).user_attrs
        lineage = int(attributes[LINEAGE])
        return Job(number, attributes["config"], self.repeat_seed(index), epochs, lineage, repeat=index)

    def recorded_seed(self, number: int) -> int:
        """The seed that an ended trial was trained with."""
        return self.trial_seed(int(self._frozen(number).user_attrs[LINEAGE]))

    def live(self, number: int, history: History) -> None:
        """Store the curves of a running trial, now and then: the more run, the more rarely. Raises EndedOutside."""
        now, began = time.monotonic(), time.perf_counter()
        if now - self._stored_at.get(number, -math.inf) < self._live_seconds:
            return
        self._stored_at[number] = now
        try:
            self._running[number].set_user_attr("history", storable_history(history))
        except UpdateFinishedTrialError as error:
            raise EndedOutside from error
        of_all = (time.perf_counter() - began) * len(self._running)
        self._live_seconds = min(max(of_all / LIVE_SHARE, LIVE_SECONDS), MOST_LIVE_SECONDS)

    def interrupt(self, number: int) -> None:
        """A running trial did not end by itself: queue its parameters again, unless somebody has ended it meanwhile."""
        trial = self._forget(number)
        self._further = True  # it may be one
        if not self._frozen(number).state.is_finished():
            requeue(self.study, number, trial.params, trial.user_attrs)
        self.study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def drop(self, number: int) -> None:
        """Forget a running trial that somebody has ended from outside."""
        if number in self._running:
            self._forget(number)

    def record_ended(
        self, outcome: Outcome, constraints: Constraints, device: str, before: Sequence[Run]
    ) -> TrialResult:
        """Record how a running trial ended, judged beside the COMPLETE runs before it, see `state_of`.

        Raises EndedOutside where somebody was faster.
        """
        counts = outcome.number not in self._continues
        trial = self._forget(outcome.number)
        state = state_of(outcome, before, goes_further=not counts)
        values = list(outcome.run.objectives) if outcome.run and state == TrialState.COMPLETE else None
        try:
            with together(self.study):
                for key, value in attributes_of(outcome, device, self._planned).items():
                    trial.set_user_attr(key, value)
                for key, violation in violations_of(outcome.run, constraints).items():
                    trial.set_constraint(key, violation)
                self.study.tell(trial, values, state=state, skip_if_finished=True)
        except UpdateFinishedTrialError as error:
            raise EndedOutside from error
        self._ended += counts
        return replace(result_of(outcome, trial), state=state.name, device=device)

    def _forget(self, number: int) -> Trial:
        """A trial that runs here no more."""
        self._continues.pop(number, None)
        return self._running.pop(number)

    def _frozen(self, number: int) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[number]


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection meanwhile: where thousands of trials are read, it takes as long as reading them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
