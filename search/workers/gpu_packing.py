"""How many workers share a GPU: tried out at the start of a search, since one small network leaves most of it idle."""

import contextlib
import math
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch

from search.data.resources import available_memory
from search.data.tensors import SearchData
from search.processes import hidden_main, start_fork_server
from search.spaces import load_space
from search.start_weights import for_timing
from search.training.cuda_graph import WARM_UP
from search.training.precision import Precision
from search.training.trainer import Interrupted, Trainer

MOST = 8  # workers on one GPU
GAIN = 1.1  # twice as many workers must train this much faster together
SPARED = 0.1  # share of the free memory that is left alone
SECONDS = 2.0  # of training that is timed
PATIENCE = 120.0  # seconds for processes to start and warm up


def pack(rate: Callable[[int], float], most: int) -> int:
    """Double the workers on a GPU as long as that pays.

    rate: of so many workers together, work per second; 0 where they do not run. most: how many memory and cores allow.
    Returns 0 where not even one runs.
    """
    if most <= 1:
        return 1
    workers, fastest = 1, rate(1)
    if fastest == 0:
        return 0
    while 2 * workers <= most:
        faster = rate(2 * workers)
        if faster < GAIN * fastest or faster == 0:
            break
        workers, fastest = 2 * workers, faster
    return workers


def fitting(free: float, each: float) -> int:
    """How many workers that take `each` bytes fit into `free` ones; at least one, which must try."""
    return max(int((1 - SPARED) * free // each), 1) if each > 0 else MOST


def free_memory(device: torch.device) -> float:
    """Bytes that a device still has for everybody."""
    return float(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else available_memory()


@dataclass(frozen=True)
class ThroughputProbe:
    """Trains configurations for a moment in processes of their own, as workers would, to see what they take."""

    space: str  # its name, since processes load it themselves
    data: SearchData
    precision: Precision
    device: str
    seconds: float = SECONDS  # of training that is timed

    def rate(self, config: dict[str, Any], workers: int) -> float:
        """Batches per second of so many workers together, evaluation included; 0 where one of them fails."""
        measured = self._run(config, workers)
        return sum(rate for rate, _ in measured) if len(measured) == workers else 0.0

    def memory(self, config: dict[str, Any]) -> float:
        """Bytes of the device that a worker takes for a configuration; infinite where it fails."""
        before = free_memory(torch.device(self.device))
        measured = self._run(config, 1)
        return max(before - measured[0][1], 0.0) if measured else math.inf

    def _run(self, config: dict[str, Any], workers: int) -> list[tuple[float, float]]:
        """Of each worker that came to an end: batches per second, and the device's free memory at that moment."""
        context = multiprocessing.get_context("forkserver")
        start_fork_server()
        barrier = context.Barrier(workers)
        pipes = [context.Pipe() for _ in range(workers)]
        processes = [
            context.Process(target=_probe, args=(theirs, barrier, self, config), daemon=True) for _, theirs in pipes
        ]
        with hidden_main():
            for process in processes:
                process.start()
        measured = []
        for ours, theirs in pipes:
            theirs.close()
            with contextlib.suppress(EOFError, OSError):
                if ours.poll(PATIENCE):
                    measured.append(ours.recv())
        for process in processes:
            process.kill()
            process.join()
        return measured


def _probe(connection: Connection, barrier: Any, probe: ThroughputProbe, config: dict[str, Any]) -> None:  # noqa: ANN401
    """In a process of its own. What goes wrong there is not said: the search itself will meet and tell it."""
    torch.set_num_threads(1)
    device = torch.device(probe.device)
    watch = _Watch(barrier.wait, device, probe.seconds)
    with contextlib.suppress(Exception):
        build, data = load_space(probe.space).build, probe.data.to(device)
        trainer = Trainer(build, for_timing(config), data, seed=0, precision=probe.precision, interrupted=watch)
        with contextlib.suppress(Interrupted):
            while True:
                trainer.epoch()
        connection.send((watch.rate, free_memory(device)))
    barrier.abort()  # nobody waits for one that failed


class _Watch:
    """Asked before each batch: counts them, from the moment when all workers are warm, and says when time is over."""

    def __init__(self, wait: Callable[[float], object], device: torch.device, seconds: float) -> None:
        self._wait, self._device, self._seconds = wait, device, seconds
        self._asked, self._started = 0, 0.0
        self.rate = 0.0

    def __call__(self) -> bool:
        self._asked += 1
        batches = self._asked - WARM_UP - 2  # one more replays the captured step for the first time
        if batches == 0:
            self._now()
            self._wait(PATIENCE)
            self._started = self._now()
        if batches <= 0 or time.perf_counter() - self._started < self._seconds:
            return False
        self.rate = batches / (self._now() - self._started)
        return True

    def _now(self) -> float:
        """Once the device has done what it was given."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()
