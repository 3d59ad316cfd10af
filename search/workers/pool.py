"""What a search asks of the workers that train its trials, wherever they run."""

import contextlib
import gc
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import torch

from search.data.tensors import SearchData
from search.errors import described
from search.stopping.stopped import Stopped
from search.training.trial import Conditions, Job, Notice, Outcome, Report, Stop, is_memory_error

AWAY_SECONDS = 20.0  # between two looks at the workers, which otherwise come several times a second
SIGN_SECONDS = 2.0  # between two signs of life, or a batch if that takes longer


@dataclass(frozen=True)
class Alive:
    """What a worker says between two batches now and then: it goes on, and has nothing to tell."""


class Lost(NamedTuple):
    """A worker has died."""

    end: str  # what completes "its worker process ..."
    with_machine: bool = False  # its whole machine is gone, which is no fault of the job


@dataclass
class Worker:
    """Something that trains one job after the other on one device, and the job it has."""

    device: str
    place: object = field(default=None, kw_only=True)  # which device of that name, where there are several machines
    job: Job | None = field(default=None, kw_only=True)  # None while it is idle
    heard_at: float = field(default_factory=time.monotonic, kw_only=True)  # when it got its job or spoke last

    def take(self, job: Job) -> None:
        """It has this job from now on."""
        self.job, self.heard_at = job, time.monotonic()

    def silent_for(self) -> float:
        """Seconds since it got its job or spoke last."""
        return time.monotonic() - self.heard_at

    def heard(self) -> None:
        """It has spoken, be it a sign of life."""
        self.heard_at = time.monotonic()


class Message(NamedTuple):
    """What a worker said of its job, or that it died."""

    worker: Worker
    job: Job
    content: Report | Notice | Outcome | Lost


W = TypeVar("W", bound=Worker)


class Pool(ABC, Generic[W]):
    """Workers that train jobs; one that has died is replaced."""

    data: SearchData
    conditions: Conditions
    workers: list[W]  # those that have a job, or may be given one
    _looked_at = math.inf  # when somebody last looked for silent ones

    @property
    def most(self) -> int:
        """Workers that there may be side by side."""
        return len(self.workers)

    def idle(self) -> list[W]:
        """Workers without a job."""
        return [worker for worker in self.workers if worker.job is None]

    def busy(self) -> list[W]:
        """Workers with a job."""
        return [worker for worker in self.workers if worker.job is not None]

    def end_silent(self, hang_after: float) -> list[W]:
        """End by force the workers that were silent for `hang_after` seconds; `wait` tells of each as of one that died.

        However long an epoch takes, a sign of life is due after each batch. While nobody looked, stopped by Ctrl-Z or
        waiting for a database, nobody could have heard.
        """
        now = time.monotonic()
        away, self._looked_at = now - self._looked_at, now
        if away > AWAY_SECONDS:
            for worker in self.busy():
                worker.heard_at = min(worker.heard_at + away, now)
        silent = [worker for worker in self.busy() if worker.silent_for() > hang_after]
        for worker in silent:
            self.end(worker)
            worker.heard()  # ended once
        return silent

    def shares_gpu(self, worker: W) -> bool:
        """Whether another worker is on the same GPU."""
        where = worker.device, worker.place
        return worker.device != "cpu" and sum((one.device, one.place) == where for one in self.workers) > 1

    def retire(self, worker: W) -> bool:
        """End an idle worker that shares a GPU, so that the others have its memory; whether it did."""
        return False

    def kill(self) -> None:
        """The process is about to end: end workers by force, at once, where they would not end with it."""

    def said(self, worker: W, content: Report | Notice | Outcome | Lost) -> Message:
        """What a busy worker has said of its job, or that it died; its outcome and its death end the job."""
        job = worker.job
        assert job is not None
        worker.heard()
        if isinstance(content, Outcome | Lost):
            worker.job = None
        return Message(worker, job, content)

    @abstractmethod
    def submit(self, worker: W, job: Job) -> None:
        """Hand `job` to an idle worker. Where it has died, `wait` tells so."""

    @abstractmethod
    def wait(self, seconds: float) -> Iterator[Message]:
        """What workers have said, signs of life aside, waiting at most that long for the first to say something.

        One after the other: a worker has its job until its outcome is handed over, so nobody who deals with another's
        takes it for idle, or what it left for orphaned. Of a job that was handed over nothing more is heard.
        """

    @abstractmethod
    def answer(self, worker: W, stop: Stop | None) -> None:
        """Answer a report; the worker waits for it. Where it has died, `wait` tells so."""

    @abstractmethod
    def end(self, worker: W) -> None:
        """End a worker by force."""

    @abstractmethod
    def interrupt(self) -> None:
        """Tell every worker to give up its job at the next batch."""

    @abstractmethod
    def close(self) -> None:
        """End all workers."""

    @abstractmethod
    def reopen(self) -> None:
        """After `interrupt`: drop the jobs that have not ended, and have workers for others."""


def giving_signs(interrupted: Callable[[], bool], sign: Callable[[], object]) -> Callable[[], bool]:
    """`interrupted`, as a training asks it before each batch; `sign` is called then, once in a while."""
    last = time.monotonic()

    def asked() -> bool:
        nonlocal last
        if (now := time.monotonic()) - last >= SIGN_SECONDS:
            last = now
            sign()
        return interrupted()

    return asked


def guarded(run: Callable[[], Outcome], number: int) -> Outcome:
    """An error in a trial, or an `exit()`, of a user's own network perhaps, ends the trial and not the search.

    Memory of a GPU that is free afterwards is for those that share it. A user's own network may hold itself in circles,
    which only the collector finds.
    """
    try:
        return run()
    except (Exception, SystemExit) as error:
        stopped = Stopped.OUT_OF_MEMORY if is_memory_error(error) else Stopped.ERROR
        return Outcome(number, stopped, described(error))
    finally:
        if torch.cuda.is_initialized():
            gc.collect()
            with contextlib.suppress(RuntimeError):  # after a fault on the GPU, whose reason is the trial's
                torch.cuda.empty_cache()


def is_broken(outcome: Outcome) -> bool:
    """Whether the process that trained it can compute no more: after a fault on its GPU everything there fails."""
    return outcome.stopped == Stopped.ERROR and "CUDA error" in (outcome.reason or "")
