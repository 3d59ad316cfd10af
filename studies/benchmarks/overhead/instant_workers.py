"""What stands in for training: a worker that answers at once, a clock of the time inside Optuna, a silent terminal."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import optuna

from search.choice.run import run_at_best
from search.measurement import History
from search.show.terminal import Terminal
from search.stopping.stopped import Stopped
from search.training.checkpoint import save_weights
from search.training.trial import Conditions, Job, Outcome, Report, Stop
from search.workers.pool import Message
from search.workers.process_pool import ProcessWorker, WorkerPool
from studies.benchmarks.overhead.filled_study import CONSTRAINTS, WEIGHTS, outcome

OPTUNA_CALLS: tuple[tuple[Any, str], ...] = (
    (optuna.Study, "ask"),
    (optuna.Study, "tell"),
    (optuna.Trial, "suggest_int"),
    (optuna.Trial, "suggest_float"),
    (optuna.Trial, "set_user_attr"),
    (optuna.Trial, "set_constraint"),
)


class Clock:
    """CPU seconds of this process: all of them, and those inside Optuna's calls."""

    def __init__(self) -> None:
        self._inside = 0.0

    def now(self) -> np.ndarray:
        """All seconds and those inside Optuna, shape (2,)."""
        return np.array([time.process_time(), self._inside])

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Time Optuna's calls meanwhile."""
        with contextlib.ExitStack() as patches:
            for owner, name in OPTUNA_CALLS:
                patches.enter_context(mock.patch.object(owner, name, self._timed(getattr(owner, name))))
            yield

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            started = time.process_time()
            try:
                return call(*args, **kwargs)
            finally:
                self._inside += time.process_time() - started

        return timed


class InstantPool(WorkerPool):
    """Stands in for the pool: one worker, whose epochs and trials end as soon as they are asked for.

    times: from an answer of the worker to the next request, by `ask`, `epoch`, `stored` (an epoch whose curves were
    written to the database) and `tell`.
    """

    def __init__(self, conditions: Conditions, clock: Clock) -> None:
        self.conditions, self._clock = conditions, clock
        self.workers = [ProcessWorker("cpu")]
        self.times: dict[str, list[np.ndarray]] = {"ask": [], "epoch": [], "stored": [], "tell": []}
        self._asked = clock.now()
        self._said: np.ndarray | None = None
        self._messages: Iterator[Report | Outcome] = iter(())
        self._first = True
        self._answer: Stop | None = None

    def idle(self) -> list[ProcessWorker]:
        idle = super().idle()
        if idle:
            self._asked = self._clock.now()
            if self._said is not None:
                self.times["tell"].append(self._asked - self._said)
        return idle

    def submit(self, worker: ProcessWorker, job: Job) -> None:
        if job.keeps:  # no repeat of another trial
            self.times["ask"].append(self._clock.now() - self._asked)
        worker.job, self._said = job, None
        self._messages = self._trained(job)

    def wait(self, seconds: float) -> Iterator[Message]:
        (worker,) = self.workers
        if worker.job is not None:
            job, content = worker.job, next(self._messages)
            if isinstance(content, Outcome):
                worker.job = None
            if job.keeps:
                self._said = self._clock.now()
            yield Message(worker, job, content)

    def answer(self, worker: ProcessWorker, stop: Stop | None) -> None:
        """The first epoch's curves are written to the database. The later ones come too soon after it."""
        if self._said is not None:
            self.times["stored" if self._first else "epoch"].append(self._clock.now() - self._said)
        self._answer = stop

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _trained(self, job: Job) -> Iterator[Report | Outcome]:
        """A report for each epoch of a made-up trial, then its outcome."""
        ended = outcome(job.number, np.random.default_rng([1, job.number]))
        self._answer = None
        for epochs in range(1, len(ended.history["val_loss"]) + 1):
            self._first = epochs == 1
            yield Report(job.number, _until(ended.history, epochs))
            if self._answer is not None:
                yield _stopped(ended, epochs)
        if ended.stopped == Stopped.FINISHED and job.keeps:
            assert ended.val_losses is not None
            save_weights(self.conditions.weights(job.number), WEIGHTS, ended.val_losses)
        yield ended


def _stopped(ended: Outcome, epochs: int) -> Outcome:
    """The trial as it ends when a rule stops it after so many epochs."""
    assert ended.run is not None
    history = _until(ended.history, epochs)
    run = run_at_best(ended.number, history, CONSTRAINTS, ended.run.parameters)
    return Outcome(ended.number, Stopped.HOPELESS, run=run, history=history)


def _until(history: History, epochs: int) -> History:
    return {name: values[:epochs] for name, values in history.items()}


class SilentTerminal(Terminal):
    """Counts as the real one does, and prints nothing."""

    def note(self, text: str) -> None:
        pass
