"""Worker processes: where they run, how they are fed, and how they are ended."""

import contextlib
import functools
import multiprocessing
import multiprocessing.connection
import select
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

import torch

from search.data.tensors import SearchData
from search.processes import end_with_parent, hidden_main, how_it_ended, start_fork_server
from search.spaces import load_space
from search.start_weights import KEPT, beginning_with
from search.training.trial import Conditions, Job, Notice, Report, Stop, run_trial
from search.workers.pool import Alive, Lost, Message, Pool, Worker, giving_signs, guarded, is_broken

STOP_SECONDS = 3.0  # for workers to give up their jobs once told to
HANG_UP_SECONDS = 1.0  # for idle ones to end once nobody is there to give them another


def place_workers(workers: int | None, devices: Sequence[str], cores: int, *, packed: int = 1) -> list[str]:
    """The device of each worker. None stands for as many as pay: one per core on a CPU, `packed` on each GPU else.

    Several devices are taken round robin, so that no GPU has two workers more than another.
    """
    if workers is None:
        workers = cores if list(devices) == ["cpu"] else packed * len(devices)
    return [devices[number % len(devices)] for number in range(workers)]


@dataclass
class ProcessWorker(Worker):
    """One process on one device."""

    process: ForkServerProcess | None = None  # None before its first job, and after its death
    connection: Connection | None = None  # our end of the pipe to it


@dataclass
class WorkerPool(Pool[ProcessWorker]):
    """Workers that train jobs; started when they first get one, and anew when they have died.

    They come from a fork server that has imported everything once, so one starts in a fraction of a second
    and shares the memory of the libraries.
    """

    devices: Sequence[str]  # of each worker
    space: str  # its name, since workers load it themselves
    data: SearchData
    conditions: Conditions
    workers: list[ProcessWorker] = field(init=False)

    def __post_init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        start_fork_server()
        self.workers = [ProcessWorker(device) for device in self.devices]
        self._open()

    def submit(self, worker: ProcessWorker, job: Job) -> None:
        """Hand `job` to an idle worker. Where it has died, `wait` tells so."""
        worker.take(job)
        with contextlib.suppress(OSError, EOFError):
            if worker.process is None:
                self._start(worker)
            self._send(worker, job)

    def wait(self, seconds: float) -> Iterator[Message]:
        """What workers have said; see `Pool.wait`."""
        busy = self.busy()
        for worker in busy:
            if worker.connection is None:  # it could not be started
                yield self._lost(worker)
        by_connection = {worker.connection: worker for worker in busy if worker.connection is not None}
        if by_connection:
            for connection in multiprocessing.connection.wait(list(by_connection), timeout=seconds):
                yield from self._receive(by_connection[connection])  # type: ignore[index]

    def answer(self, worker: ProcessWorker, stop: Stop | None) -> None:
        """Answer a report; the worker waits for it. Where it has died, `wait` tells so."""
        with contextlib.suppress(OSError):
            self._send(worker, stop)

    def end(self, worker: ProcessWorker) -> None:
        """End it by force."""
        if worker.process is not None:
            worker.process.kill()

    def retire(self, worker: ProcessWorker) -> bool:
        """End an idle worker that shares a GPU, so that the others have its memory; whether it did."""
        if not self.shares_gpu(worker):
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

    def _start(self, worker: ProcessWorker) -> None:
        """Raises OSError or EOFError where the system has no room for another process."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_work,
            args=(theirs, self._stop, worker.device, self.space, self.data, self.conditions),
            daemon=True,
        )
        with theirs, hidden_main():
            process.start()
        worker.process, worker.connection = process, ours

    def _receive(self, worker: ProcessWorker) -> Iterator[Message]:
        assert worker.connection is not None
        try:
            content = worker.connection.recv()
        except (EOFError, OSError):
            yield self._lost(worker)
            return
        if isinstance(content, Alive):
            worker.heard()
        else:
            yield self.said(worker, content)

    def _lost(self, worker: ProcessWorker) -> Message:
        """A worker has died: another one takes its place when it next gets a job."""
        if worker.connection is not None:
            worker.connection.close()
        exit_code = None
        if worker.process is not None:
            worker.process.join(HANG_UP_SECONDS)  # its connection is gone before it is
            exit_code = worker.process.exitcode
            worker.process.kill()
        worker.process = worker.connection = None
        return self.said(worker, Lost(how_it_ended(exit_code)))

    def _send(self, worker: ProcessWorker, content: Job | Stop | None) -> None:
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
    told_to_stop, sign = _readable(stop), functools.partial(_tell, connection, Alive())

    def report(content: Report) -> Stop | None:
        try:
            connection.send(content)
            return connection.recv()
        except (EOFError, OSError) as error:
            raise _ParentGone from error

    while True:
        try:
            job = connection.recv()
            say, interrupted = functools.partial(_notify, connection, job.number), giving_signs(told_to_stop, sign)
            train = functools.partial(run_trial, job, build, report=report, interrupted=interrupted, say=say)
            outcome = guarded(lambda: train(data=on_device(), conditions=conditions), job.number)  # noqa: B023
            connection.send(outcome)
            if is_broken(outcome):
                return
        except (EOFError, OSError, _ParentGone):
            return


def _readable(stop: Connection) -> Callable[[], bool]:
    """Whether the other end has been closed; quick, since it is asked before each batch."""
    poll = select.poll()
    poll.register(stop.fileno())
    return lambda: bool(poll.poll(0))


def _notify(connection: Connection, number: int, text: str) -> None:
    """Tell the parent of the files of a trial."""
    _tell(connection, Notice(number, text))


def _tell(connection: Connection, content: Notice | Alive) -> None:
    """Tell the parent what needs no answer."""
    try:
        connection.send(content)
    except OSError as error:
        raise _ParentGone from error


class _ParentGone(BaseException):
    """Nobody is there to report to."""
