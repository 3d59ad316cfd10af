"""Worker processes: where they run, how they are fed, and how they are ended."""

import functools
import multiprocessing
import multiprocessing.connection
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any, NamedTuple

import torch

from search.data.tensors import SearchData
from search.errors import described
from search.processes import hidden_main, start_fork_server
from search.spaces import load_space
from search.stopping.stopped import Stopped
from search.training.trial import Conditions, Job, Notice, Outcome, Report, Stop, is_memory_error, run_trial

STOP_SECONDS = 3.0  # for workers to give up their jobs once told to
HANG_UP_SECONDS = 1.0  # for idle ones to end once nobody is there to give them another


def place_workers(workers: int | None, devices: Sequence[str], cores: int, *, packed: int = 1) -> list[str]:
    """The device of each worker. None stands for as many as pay: one per core on a CPU, `packed` on each GPU else.

    Several devices are taken round robin, so that no GPU has two workers more than another.
    """
    if workers is None:
        workers = cores if list(devices) == ["cpu"] else packed * len(devices)
    return [devices[number % len(devices)] for number in range(workers)]


class Message(NamedTuple):
    """What a worker said of its job: a `Report`, a `Notice`, an `Outcome`, or None where it died."""

    worker: "Worker"
    job: Job
    content: Report | Notice | Outcome | None


@dataclass
class Worker:
    """One process on one device, and the job it has."""

    device: str
    process: ForkServerProcess | None = None  # None before its first job, and after its death
    connection: Connection | None = None  # our end of the pipe to it
    job: Job | None = None  # None while it is idle


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
        self._stop = self._context.Event()
        self.workers = [Worker(device) for device in self.devices]

    def idle(self) -> list[Worker]:
        """Workers without a job."""
        return [worker for worker in self.workers if worker.job is None]

    def submit(self, worker: Worker, job: Job) -> None:
        """Hand `job` to an idle worker."""
        if worker.process is None:
            self._start(worker)
        assert worker.connection is not None
        worker.job = job
        worker.connection.send(job)

    def wait(self, seconds: float) -> Iterator[Message]:
        """What workers have said, waiting at most that long for the first to say something.

        One after the other: a worker has its job until its outcome is handed over, so nobody who deals with another's
        takes it for idle, or what it left for orphaned.
        """
        by_connection = {w.connection: w for w in self.workers if w.connection is not None and w.job is not None}
        if by_connection:
            for connection in multiprocessing.connection.wait(list(by_connection), timeout=seconds):
                yield self._receive(by_connection[connection])  # type: ignore[index]

    def answer(self, worker: Worker, stop: Stop | None) -> None:
        """Answer a report; the worker waits for it."""
        assert worker.connection is not None
        worker.connection.send(stop)

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
        self._stop.set()

    def close(self) -> None:
        """End all workers: idle ones by hanging up, those that still have a job by force."""
        self._stop.set()
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

    def kill(self) -> None:
        """End workers by force."""
        for worker in self.workers:
            if worker.process is not None and worker.process.is_alive():
                worker.process.kill()

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
            worker.connection.close()
            worker.process = worker.connection = worker.job = None
            return Message(worker, job, None)
        if isinstance(content, Outcome):
            worker.job = None
        return Message(worker, job, content)


def _work(
    connection: Connection,
    stop: Any,  # noqa: ANN401 multiprocessing's events have no public type
    device: str,
    space: str,
    data: SearchData,
    conditions: Conditions,
) -> None:
    """A worker's life: jobs in, reports and outcomes out, until the parent hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent tells what to do
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    on_device = functools.cache(lambda: data.to(torch.device(device)))  # where memory is short, a trial's error
    build = load_space(space).build

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
            train = functools.partial(run_trial, job, build, report=report, interrupted=stop.is_set, say=say)
            outcome = _guarded(lambda: train(data=on_device(), conditions=conditions), job.number)  # noqa: B023
            if device.startswith("cuda"):
                torch.cuda.empty_cache()  # for those that share the device
            connection.send(outcome)
        except (EOFError, OSError, _ParentGone):
            return


def _notify(connection: Connection, number: int, text: str) -> None:
    """Tell the parent of the files of a trial."""
    try:
        connection.send(Notice(number, text))
    except OSError as error:
        raise _ParentGone from error


class _ParentGone(BaseException):
    """Nobody is there to report to."""


def _guarded(run: Callable[[], Outcome], number: int) -> Outcome:
    """An error in a trial, of a user's own network perhaps, ends the trial and not the search."""
    try:
        return run()
    except Exception as error:
        stopped = Stopped.OUT_OF_MEMORY if is_memory_error(error) else Stopped.ERROR
        return Outcome(number, stopped, described(error))
