"""The search itself: hand out trials within the budget, judge them while they run, recover what fails."""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from search.choice.choose import Choice
from search.choice.run import Run
from search.engine.interruption import Interruption
from search.engine.time_limit import LAST_SECONDS, OUT_OF_TIME, TimeLimit, is_result
from search.finals.finals import Finals
from search.measurement import History
from search.recording.ending import result_of
from search.recording.first_errors import FirstErrors, SearchFailed
from search.recording.longer import KeptCheckpoints
from search.recording.store import EndedOutside, Store
from search.recording.weights import KeptWeights
from search.results.trial_result import TrialResult
from search.settings import Settings
from search.show.dashboard import Publisher
from search.show.terminal import Terminal
from search.spaces import Suggest
from search.stopping.hopeless import Curve, HopelessRule
from search.stopping.stopped import Stopped
from search.training.trial import Conditions, Job, Notice, Outcome, Report, Stop
from search.workers.pool import Lost, Pool, Worker
from search.workers.process_pool import STOP_SECONDS

TURN_SECONDS = 0.25  # how long to wait for workers before looking at the clock and at Ctrl-C
MOST_LOSSES = {Stopped.ERROR: 3, Stopped.HUNG: 2}  # of workers by one trial, which is set aside then


class Runner:
    """One start of a search: the trials that are missing, on the workers of `pool`, within `limit`."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        pool: Pool[Any],
        suggest: Suggest,
        terminal: Terminal,
        publisher: Publisher,
        limit: TimeLimit,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings, self._store, self._pool, self._limit, self._beat = settings, store, pool, limit, beat
        self.interruption = Interruption(self.last_words)
        self._suggest, self._terminal, self._publisher = suggest, terminal, publisher
        self._conditions: Conditions = pool.conditions
        self._hopeless = HopelessRule(max_gap=settings.max_gap, total_epochs=settings.epochs)
        snapshot = store.snapshot()
        for trial in snapshot.ended:
            self._remember(trial.number, trial.history, trial.stopped)
        self.runs: list[Run] = list(snapshot.runs)
        self.raced = not settings.race  # whether the race, where there is to be one, has come to its end
        self._finals = Finals(store, pool, terminal, settings.seed, self.interruption.beat)
        self._retries: deque[Job] = deque()  # out of memory: each to be tried once more with nothing beside it
        self._retried: set[int] = set()
        self._losses: Counter[tuple[int, Stopped]] = Counter()  # of workers, by the lineage of their trial
        self._hung: set[int] = set()  # trials whose worker was ended, since it was silent
        self._first_errors = FirstErrors(snapshot.ended)
        self._out_of_time = False  # and running trials end with what they have
        self._uncaptured: str | None = None
        self._weights = KeptWeights(self._conditions, terminal.notice)
        self._checkpoints = KeptCheckpoints(self._conditions, snapshot)
        self._update_kept()

    def run(self) -> None:
        """Run trials and the race, until the time is over or `interruption`, once entered, has seen a signal.

        Raises SearchFailed where nothing but errors came of the first trials, or the space takes nothing that is drawn.
        """

        def go_on() -> bool:
            self.interruption.beat()
            self._beat()
            return self.interruption.signal is None and not self._limit.over()

        with self._terminal:
            try:
                if not self._run_trials(go_on):
                    self._take_what_there_is()
                    self._wind_down()
                self._race(go_on)
            except SearchFailed:
                self._wind_down()
                raise
            finally:
                self._pool.close()

    def _run_trials(self, go_on: Callable[[], bool]) -> bool:
        """Whether all have ended, before it was time for something else."""
        while go_on() and not self._limit.race_is_due(self.runs):
            self._dispatch()
            if not self._pool.busy() and not self._left():
                return True
            self._turn()
        return False

    def _left(self) -> bool:
        """Whether a job waits for a worker."""
        return self._store.count() < self._settings.trials or bool(self._retries) or self._store.further_first()

    def _take_what_there_is(self) -> None:
        """Where the time is over and nothing may be chosen, end running trials with the epochs that they have."""
        self._out_of_time = self._limit.over()
        deadline = time.monotonic() + LAST_SECONDS if self._out_of_time else 0.0
        while time.monotonic() < deadline and not any(run.feasible for run in self.runs):
            if self.interruption.signal is not None or not self._pool.busy():
                return
            self._turn()

    def choice(self) -> Choice | None:
        """The choice among the runs so far, recorded in the study too."""
        return self._finals.choice(self.runs, self._weights.val_losses)

    def conclude(self) -> Choice | None:
        """The choice at the end; recorded in the study with what is expected of it."""
        return self._finals.conclude(self.runs, self._weights.val_losses)

    def _race(self, go_on: Callable[[], bool]) -> None:
        """Train the best again."""

        def turn() -> bool:
            self._terminal.tick()
            self._publisher.update()
            return go_on()

        if self._settings.race and go_on():
            self.raced = self._finals.run(self.runs, self._settings.hang_after, turn)

    def publish(self) -> None:
        """Bring the dashboard to where the study is."""
        self.interruption.beat()  # before and after: importances of many trials take seconds
        self._publisher.close()
        self.interruption.beat()

    def _dispatch(self) -> None:
        """Give idle workers a job: a retry once nothing else runs, or else a trial while some are missing.

        Those that take a finished one further are not counted among them.
        """
        idle = self._pool.idle()
        if self._retries:
            if idle and not self._pool.busy():
                self._pool.submit(idle[0], self._retries.popleft())
            return
        if any(worker.job.number in self._retried for worker in self._pool.busy()):
            return
        for worker in idle:
            if not self._left():
                return
            self._store.queue_first()
            trial, config, lineage = self._store.ask(self._suggest)
            self._first_errors.asked(lineage)
            seed, continues = self._store.trial_seed(lineage), self._store.continues(trial.number)
            job = Job(trial.number, config, seed, self._settings.epochs, lineage, continues=continues)
            self._pool.submit(worker, job)
            self._terminal.started(trial.number)

    def _turn(self) -> None:
        """Take in what workers say within a moment."""
        self.interruption.beat()
        self._terminal.tick()
        self._beat()
        self._publisher.update()  # here, where idle workers have just been given something to do
        self._hung.update(worker.job.number for worker in self._pool.end_silent(self._settings.hang_after))
        for worker, job, content in self._pool.wait(TURN_SECONDS):
            if isinstance(content, Report):
                self._pool.answer(worker, self._judge(content))
            elif isinstance(content, Outcome):
                self._take_outcome(worker, job, content)
            elif isinstance(content, Notice):
                self._terminal.notice(content.text)
            else:
                self._lost(worker, job, content)

    def _judge(self, report: Report) -> Stop | None:
        """Take in the curves of a running trial; a reason to stop it, or None."""
        self._terminal.epoch(report.number, report.history)
        try:
            self._store.live(report.number, report.history)
        except EndedOutside:
            return Stop(Stopped.CANCELLED, "ended from outside, in the dashboard perhaps")
        if self._out_of_time and is_result(report.history, self._conditions.constraints):
            return Stop(Stopped.FINISHED, OUT_OF_TIME)
        decision = self._hopeless.update(report.number, Curve.of(report.history))
        return Stop(Stopped.HOPELESS, decision.reason) if decision.stop else None

    def _remember(self, number: int, history: History, stopped: Stopped | None) -> None:
        """An ended trial, as one to compare others with, unless a fault ended it."""
        if not history or (stopped is not None and stopped.failed):
            self._hopeless.forget(number)
        else:
            self._hopeless.remember(number, Curve.of(history))
        if stopped in (Stopped.FINISHED, Stopped.OVERFIT):
            self._hopeless.end(number, overfitted=stopped == Stopped.OVERFIT)

    def _take_outcome(self, worker: Worker, job: Job, outcome: Outcome) -> None:
        """A worker has ended its job: queue it again, try it once more, or record what came of it."""
        number = outcome.number
        if outcome.stopped == Stopped.INTERRUPTED:
            self._requeue(number)
            return
        if outcome.stopped == Stopped.OUT_OF_MEMORY and number not in self._retried:
            self._retry_alone(worker, job)
            return
        if self._uncaptured is None and outcome.uncaptured is not None:
            self._uncaptured = outcome.uncaptured
            self._terminal.note(f"trained without CUDA graphs, which is slower: {self._uncaptured}")
        self._remember(number, outcome.history, outcome.stopped)
        result = result_of(outcome, trial := self._store.running(number))
        self._publisher.attach_curves(result, trial)
        if outcome.stopped.reached_best:
            self._finals.images.add((number, 0), outcome.val_losses, outcome.val_correct)
        result = self._record(outcome, worker.device) or replace(result, state="FAIL", stopped=Stopped.CANCELLED)
        self._checkpoints.ended(result)
        if result.ended:
            self._ended(result, outcome.val_losses)
            self._first_errors.ended(job.lineage, result)
        else:
            self._store.drop(number)
            self._hopeless.forget(number)
            self._terminal.ended(result)

    def _record(self, outcome: Outcome, device: str) -> TrialResult | None:
        """Tell the study how a trial ended; None where somebody has ended it from outside."""
        if outcome.stopped == Stopped.CANCELLED:
            return None
        try:
            return self._store.record_ended(outcome, self._conditions.constraints, device, self.runs)
        except EndedOutside:
            return None

    def _ended(self, result: TrialResult, val_losses: np.ndarray | None) -> None:
        """A trial has its result: choose anew, and show it. val_losses: per image, at its best epoch."""
        if result.continues is not None:  # for which it stands from now on
            self.runs = [run for run in self.runs if run.number != result.continues]
            self._hopeless.forget(result.continues)
        if result.complete and result.run is not None:
            self.runs.append(result.run)
            if val_losses is not None:
                self._weights.val_losses[result.number] = val_losses
        self._update_kept()
        choice = self.choice()
        self._publisher.ended(result.number, self.runs, None if choice is None else choice.run.number)
        self._terminal.ended(result)

    def _retry_alone(self, worker: Worker, job: Job) -> None:
        """Out of memory for the first time: once more, with nothing beside it."""
        self._retried.add(job.number)
        self._retries.append(job)
        if self._pool.retire(worker):
            self._terminal.note(f"out of memory: one worker less on {worker.device}")

    def _lost(self, worker: Worker, job: Job, lost: Lost) -> None:
        """A worker has died or was ended: its trial goes on elsewhere, unless that has happened too often."""
        stopped = Stopped.HUNG if job.number in self._hung else Stopped.ERROR
        silence = f"no sign of life for {self._settings.hang_after:g} s (raise --hang-after if a batch takes longer)"
        cause = f"its worker process {lost.end}" if stopped == Stopped.ERROR else silence
        self._losses[job.lineage, stopped] += not lost.with_machine
        if (times := self._losses[job.lineage, stopped]) < MOST_LOSSES[stopped]:
            self._requeue(job.number)
            if self.interruption.signal is None:  # else that may have reached the worker too
                self._terminal.note(f"trial {job.number} is queued again: {cause}")
        else:
            self._take_outcome(worker, job, Outcome(job.number, stopped, f"{cause}, {times} times"))

    def _requeue(self, number: int) -> None:
        self._store.interrupt(number)
        self._hopeless.forget(number)
        self._terminal.dropped(number)

    def _update_kept(self) -> None:
        """Keep the files of the runs that may still be chosen, and of no other ended one."""
        self._weights.update(self.runs, {worker.job.number for worker in self._pool.busy()})
        self._checkpoints.update(self.runs)
        self._finals.images.update(self.runs)

    def last_words(self) -> None:
        """Leave the terminal and the machine as they were: the process is about to end."""
        self._terminal.close()
        self._pool.kill()

    def _wind_down(self) -> None:
        """Take in what running trials still have to say, queue again those that do not end in time; end the workers."""
        self._pool.interrupt()
        deadline = time.monotonic() + STOP_SECONDS
        while self._pool.busy() and time.monotonic() < deadline:
            self._turn()
        for worker in self._pool.busy():
            self._requeue(worker.job.number)
        for job in self._retries:
            self._store.interrupt(job.number)
        self._pool.reopen()
