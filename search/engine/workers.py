"""Worker processes: where they run, how they are fed, and how they are ended."""

import contextlib
import functools
import multiprocessing
import multiprocessing.connection
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import NamedTuple

import torch

from search.data.tensors import SearchData
from search.errors import described
from search.processes import end_with_parent, hidden_main, how_it_ended, start_fork_server
from search.spaces import load_space
from search.start_weights import KEPT, beginning_with
from search.stopping.stopped import Stopped
from search.training.trial import Conditions, Job, Notice, Outcome, Report, Stop, is_memory_error, run_trial

STOP_SECONDS = 3.0  # for workers to give up their jobs once told to
MOST_EPOCHS_SILENT = 20  # of a job's longest epoch, without a report
HANG_UP_SECONDS = 1.0  # for idle ones to end once nobody is there to give them another


def place_workers(workers: int | None, devices: Sequence[str], cores: int, *, packed: int = 1) -> list[str]:
    """The device of each worker. None stands for as many as pay: one per core on a CPU, `packed` on each GPU else.

    Several devices are taken round robin, so that no GPU has two workers more than another.
    """
    if workers is None:
        workers = cores if list(devices) == ["cpu"] else packed * len(devices)
    return [devices[number % len(devices)] for number in range(workers)]


class Lost(NamedTuple):
    """A worker has died."""

    end: str  # how, see `search.processes.how_it_ended`


class Message(NamedTuple):
    """What a worker said of its job, or that it died."""

    worker: "Worker"
    job: Job
    content: Report | Notice | Outcome | Lost


@dataclass
class Worker:
    """One process on one device, and the job it has."""

    device: str
    process: ForkServerProcess | None = None  # None before its first job, and after its death
    connection: Connection | None = None  # our end of the pipe to it
    job: Job | None = None  # None while it is idle
    heard_at: float = field(default_factory=time.monotonic)  # when it got its job or reported last
    longest: float = 0.0  # seconds between two reports of this job, at most

    def silent_for(self) -> float:
        """Seconds since it got its job or reported last."""
        return time.monotonic() - self.heard_at

    def heard(self) -> None:
        """It has reported."""
        self.longest = max(self.longest, self.silent_for())
        self.heard_at = time.monotonic()


@dataclass
class WorkerPool:
    """Workers that train jobs; started when they first get one, and anew when they have died.

    They come from a fork server that has imported everything once, so one starts in a fraction of a second
    and shares the memory of the libraries.
    """

    devices: Sequence[str]  # of each worker
    space: str  # its name, since workers load it themselves
    data: SearchData
    conditions: Conditions
    workers: list[Worker] = field(init=False)

    def __post_init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        start_fork_server()
        self.workers = [Worker(device) for device in self.devices]
        self._open()

    def idle(self) -> list[Worker]:
        """Workers without a job."""
        return [worker for worker in self.workers if worker.job is None]

    def submit(self, worker: Worker, job: Job) -> None:
        """Hand `job` to an idle worker. Where it has died, `wait` tells so."""
        worker.job, worker.heard_at, worker.longest = job, time.monotonic(), 0.0
        with contextlib.suppress(OSError):
            if worker.process is None:
                self._start(worker)
            self._send(worker, job)

    def wait(self, seconds: float) -> Iterator[Message]:
        """What workers have said, waiting at most that long for the first to say something.

        One after the other: a worker has its job until its outcome is handed over, so nobody who deals with another's
        takes it for idle, or what it left for orphaned.
        """
        busy = [worker for worker in self.workers if worker.job is not None]
        for worker in busy:
            if worker.connection is None:  # it could not be started
                yield self._lost(worker)
        by_connection = {worker.connection: worker for worker in busy if worker.connection is not None}
        if by_connection:
            for connection in multiprocessing.connection.wait(list(by_connection), timeout=seconds):
                yield self._receive(by_connection[connection])  # type: ignore[index]

    def answer(self, worker: Worker, stop: Stop | None) -> None:
        """Answer a report; the worker waits for it. Where it has died, `wait` tells so."""
        with contextlib.suppress(OSError):
            self._send(worker, stop)

    def end_silent(self, hang_after: float) -> list[Worker]:
        """End by force the workers whose report is overdue; `wait` tells of each as of one that died.

        A report is due within `hang_after` seconds, or within 20 times the longest epoch of the same job.
        """
        overdue = [
            worker
            for worker in self.workers
            if worker.job is not None and worker.silent_for() > max(hang_after, MOST_EPOCHS_SILENT * worker.longest)
        ]
        for worker in overdue:
            if worker.process is not None:
                worker.process.kill()
            worker.heard_at = time.monotonic()  # ended once
        return overdue

    def retire(self, worker: Worker) -> bool:
        """End an idle worker that shares a GPU, so that the others have its memory; whether it did."""
        sharing = sum(other.device == worker.device for other in self.workers)
        if worker.device == "cpu" or sharing == 1:
            return False
        self.workers.remove(worker)
        if worker.connection is not None and worker.process is not None:
            worker.connection.close()
            worker.process.join(HANG_UP_SECONDS)
            worker.process.kill()
        return True

    def interrupt(self) -> None:
        """Tell every worker to give up its job at the next batch."""
        self._until_stopped.close()

    def close(self) -> None:
        """End all workers: idle ones by hanging up, those that still have a job by force."""
        self.interrupt()
        processes = [worker.process for worker in self.workers if worker.process is not None]
        for worker in self.workers:
            if worker.job is not None and worker.process is not None:
                worker.process.kill()
            if worker.connection is not None:
                worker.connection.close()
            worker.process = worker.connection = worker.job = None
        for process in processes:
            process.join(HANG_UP_SECONDS)
            if process.is_alive():
                process.kill()

    def reopen(self) -> None:
        """After `interrupt`: end all workers, and let new ones take their places."""
        self.close()
        self._open()

    def kill(self) -> None:
        """End workers by force."""
        for worker in self.workers:
            if worker.process is not None and worker.process.is_alive():
                worker.process.kill()

    def _open(self) -> None:
        # closing the one end tells all workers to stop; an event has a lock, which a killed worker might hold for ever
        self._stop, self._until_stopped = self._context.Pipe(duplex=False)

    def _start(self, worker: Worker) -> None:
        worker.connection, theirs = self._context.Pipe()
        worker.process = self._context.Process(
            target=_work,
            args=(theirs, self._stop, worker.device, self.space, self.data, self.conditions),
            daemon=True,
        )
        with hidden_main():
            worker.process.start()
        theirs.close()

    def _receive(self, worker: Worker) -> Message:
        assert worker.connection is not None
        assert worker.job is not None
        job = worker.job
        try:
            content = worker.connection.recv()
        except (EOFError, OSError):
            return self._lost(worker)
        worker.heard()
        if isinstance(content, Outcome):
            worker.job = None
        return Message(worker, job, content)

    def _lost(self, worker: Worker) -> Message:
        """A worker has died: another one takes its place when it next gets a job."""
        assert worker.job is not None
        job = worker.job
        if worker.connection is not None:
            worker.connection.close()
        exit_code = None
        if worker.process is not None:
            worker.process.join(HANG_UP_SECONDS)  # its connection is gone before it is
            exit_code = worker.process.exitcode
            worker.process.kill()
        worker.process = worker.connection = worker.job = None
        return Message(worker, job, Lost(how_it_ended(exit_code)))

    def _send(self, worker: Worker, content: Job | Stop | None) -> None:
        """Raises OSError where the worker has died."""
        if worker.connection is not None:
            worker.connection.send(content)


def _work(
    connection: Connection,
    stop: Connection,
    device: str,
    space: str,
    data: SearchData,
    conditions: Conditions,
) -> None:
    """A worker's life: jobs in, reports and outcomes out, until the parent hangs up. stop: readable once to give up."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent tells what to do
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    on_device = functools.cache(lambda: data.to(torch.device(device)))  # where memory is short, a trial's error
    build = beginning_with(load_space(space).build, conditions.folder / KEPT)
    interrupted = _readable(stop)

    def report(content: Report) -> Stop | None:
        try:
            connection.send(content)
            return connection.recv()
        except (EOFError, OSError) as error:
            raise _ParentGone from error

    while True:
        try:
            job = connection.recv()
            say = functools.partial(_notify, connection, job.number)
            train = functools.partial(run_trial, job, build, report=report, interrupted=interrupted, say=say)
            outcome = _guarded(lambda: train(data=on_device(), conditions=conditions), job.number)  # noqa: B023
            if device.startswith("cuda"):
                torch.cuda.empty_cache()  # for those that share the device
            connection.send(outcome)
        except (EOFError, OSError, _ParentGone):
            return


def _readable(stop: Connection) -> Callable[[], bool]:
    """Whether the other end has been closed; quick, since it is asked before each batch."""
    poll = select.poll()
    poll.register(stop.fileno())
    return lambda: bool(poll.poll(0))


def _notify(connection: Connection, number: int, text: str) -> None:
    """Tell the parent of the files of a trial."""
    try:
        connection.send(Notice(number, text))
    except OSError as error:
        raise _ParentGone from error


class _ParentGone(BaseException):
    """Nobody is there to report to."""


def _guarded(run: Callable[[], Outcome], number: int) -> Outcome:
    """An error in a trial, or an `exit()`, of a user's own network perhaps, ends the trial and not the search."""
    try:
        return run()
    except (Exception, SystemExit) as error:
        stopped = Stopped.OUT_OF_MEMORY if is_memory_error(error) else Stopped.ERROR
        return Outcome(number, stopped, described(error))
