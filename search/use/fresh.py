"""Trainings of one best.yaml with fresh seeds, each in a process of its own and measured on the test split."""

import hashlib
import json
import multiprocessing
import multiprocessing.connection
import signal
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search.data.tensors import DeviceData, SearchData
from search.errors import UserError, described
from search.processes import end_with_parent, hidden_main, how_it_ended, start, start_fork_server
from search.results.best_yaml import Best, load
from search.spaces import find_space, fingerprint
from search.training.evaluate import evaluate
from search.training.precision import Precision
from search.training.trainer import Trainer

ASKED = ("study", "trial", "space", "config", "epochs", "seed", "metrics", "data", "environment", "weights_sha256")
TURN_SECONDS = 0.25  # how long to wait for a training before asking whether to go on
DIVERGED = "its loss is not finite any more"


@dataclass(frozen=True)
class Candidate:
    """A configuration that is trained with fresh seeds."""

    trial: int  # that it is of
    config: dict[str, Any]
    epochs: int  # to train


@dataclass(frozen=True)
class Fresh:
    """One training with a fresh seed, at the recorded number of epochs: what it does on each image.

    Losses, in nats, are the bytes of a float32 array, so that trainings can be compared and kept to the last digit.
    """

    trial: int  # whose configuration it has
    seed: int
    train_losses: bytes
    val_losses: bytes
    val_correct: bytes  # of a bool array
    test_losses: bytes
    test_correct: bytes
    test_predicted: bytes  # of an int32 array: the classes that it takes the images for

    @property
    def val_loss(self) -> float:
        """Mean over the validation images."""
        return float(losses_of(self.val_losses).mean(dtype=np.float64))

    @property
    def test_loss(self) -> float:
        """Mean over the test images."""
        return float(losses_of(self.test_losses).mean(dtype=np.float64))

    @property
    def test_accuracy(self) -> float:
        """Of the test images."""
        return float(np.frombuffer(self.test_correct, dtype=bool).mean())

    @property
    def diverged(self) -> bool:
        """Whether a loss is not finite."""
        return not all(
            np.isfinite(losses_of(losses)).all() for losses in (self.train_losses, self.val_losses, self.test_losses)
        )


@dataclass(frozen=True)
class Failure:
    """What became of a training instead."""

    trial: int
    seed: int
    reason: str


Job = tuple[Candidate, int]  # with which seed


@dataclass(frozen=True)
class Task:
    """What all these trainings share."""

    path: Path  # of best.yaml; each process reads it, since what builds the network cannot be sent
    configuration: str  # what `fingerprint_of` says of it
    data: SearchData
    test: SearchData

    def identity(self, device: str) -> str:
        """A hash of all that the figures depend on besides the seed."""
        kind = torch.device(device).type
        return _hash([self.configuration, self.data.fingerprint, self.test.fingerprint, kind, torch.__version__])

    def best(self) -> Best:
        """What its best.yaml says. Raises UserError where that has become another one meanwhile."""
        best = load(self.path)
        if fingerprint_of(self.path, best) != self.configuration:
            raise UserError(f"{self.path} was written anew while its trainings ran")
        return best


@dataclass(frozen=True)
class _Training:
    """One that runs."""

    trial: int
    seed: int
    device: str
    process: ForkServerProcess
    connection: Connection

    def result(self) -> Fresh | Failure:
        """Once the connection has something to say."""
        try:
            said = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(1.0)  # its connection is gone before it is
            said = f"its process {how_it_ended(self.process.exitcode)}"
        self.end()
        return said if isinstance(said, Fresh) else Failure(self.trial, self.seed, said)

    def end(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def fingerprint_of(path: Path, best: Best) -> str:
    """A hash of what a best.yaml asks for: its configuration, its images, how to train, and its space's source.

    Where the images lie does not matter.
    """
    source = getattr(find_space(best.space, path.parent), "__file__", None)
    asked = {name: getattr(best, name) for name in ASKED}
    asked["data"] = {name: value for name, value in best.data.items() if name != "root"}
    return _hash([asked, fingerprint(source) if source else None])


def train_fresh(
    task: Task, jobs: Sequence[Job], places: Sequence[str], go_on: Callable[[], bool]
) -> Generator[Fresh | Failure, None, None]:
    """Train each configuration with its seed; what came of it, in the order in which the trainings end.

    places: the device of each training that may run beside the others. Those that have not ended when `go_on` says no
    are dropped.
    """
    start_fork_server()
    waiting, free = deque(jobs), list(places)
    running: dict[Connection, _Training] = {}
    try:
        while (waiting or running) and go_on():
            while waiting and free:
                started = _start(task, free.pop(0), *waiting.popleft())
                running[started.connection] = started
            for connection in multiprocessing.connection.wait(list(running), TURN_SECONDS):
                ended = running.pop(connection)  # type: ignore[call-overload]
                free.append(ended.device)
                yield ended.result()
    finally:
        for training in running.values():
            training.end()


def _start(task: Task, device: str, candidate: Candidate, seed: int) -> _Training:
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, task, device, candidate, seed), daemon=True)
    with theirs, hidden_main():
        start(process)
    return _Training(candidate.trial, seed, device, process, ours)


def _work(connection: Connection, task: Task, device: str, candidate: Candidate, seed: int) -> None:
    """A process's life: one training."""
    for number in (signal.SIGINT, signal.SIGHUP):  # they reach the whole group; the parent ends this process
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()
    connection.send(trained(task, torch.device(device), candidate, seed))


def trained(task: Task, device: torch.device, candidate: Candidate, seed: int) -> Fresh | str:
    """One training; what went wrong, where something did."""
    try:
        fresh = _train(task, task.data.to(device), task.test.to(device), candidate, seed)
        return DIVERGED if fresh.diverged else fresh
    except (Exception, SystemExit) as error:
        return str(error) if isinstance(error, UserError) else described(error)


def _train(task: Task, data: DeviceData, test: DeviceData, candidate: Candidate, seed: int) -> Fresh:
    """Raises UserError where best.yaml has become another one meanwhile."""
    best = task.best()
    torch.set_num_threads(best.environment["threads"])
    precision = Precision.of(best.environment)
    trainer = Trainer(best.build_network, candidate.config, data, seed=seed, precision=precision)
    for _ in range(candidate.epochs):
        epoch = trainer.epoch()
    on_test = evaluate(trainer.averaged, test, test.val, precision)
    return Fresh(
        trial=candidate.trial,
        seed=seed,
        train_losses=epoch.train.losses.tobytes(),
        val_losses=epoch.val.losses.tobytes(),
        val_correct=epoch.val.correct.tobytes(),
        test_losses=on_test.losses.tobytes(),
        test_correct=on_test.correct.tobytes(),
        test_predicted=on_test.predicted.astype(np.int32).tobytes(),
    )


def losses_of(content: bytes) -> np.ndarray:
    """Per-image losses, float32 (n,), from their bytes."""
    return np.frombuffer(content, dtype=np.float32)


def _hash(content: object) -> str:
    """Of what JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
