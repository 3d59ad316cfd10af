"""What runs on the nodes of a Ray cluster: an actor that trains one trial after the other.

Each trial writes to a folder of its own. What it writes goes to the parent, or to a place for checkpoints.
"""

import contextlib
import functools
import queue
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import torch

from search.data.tensors import SearchData
from search.spaces import find_space
from search.start_weights import KEPT, beginning_with
from search.training.trial import Conditions, Job, Notice, Outcome, Report, Stop, run_trial
from search.workers.pool import Alive, giving_signs, guarded
from search.workers.ray_cluster import Files

ANSWERS = "answers"  # the concurrency group of what goes on while a trial is trained


@dataclass(frozen=True)
class Task:
    """What all actors of a search share."""

    device: str
    space: str  # dotted name, or the name of its file
    files: Files
    data: SearchData
    conditions: Conditions


@dataclass(frozen=True)
class File:
    """What a trial has left in the run folder."""

    name: str  # from the run folder
    content: bytes


class TrialActor:
    """One trial at a time, on one core, and on one GPU or a part of it."""

    def __init__(self, task: Task) -> None:
        self._task, self._folder = task, task.files.unpack()
        self._build = beginning_with(find_space(task.space, self._folder).build, self._folder / KEPT)
        self._data = functools.cache(lambda: task.data.to(torch.device(task.device)))  # no memory: a trial's error
        self._said, self._answers = queue.SimpleQueue[Any](), queue.SimpleQueue[Any]()
        self._interrupted = threading.Event()

    def place(self) -> tuple[str, ...]:
        """Where it runs: its node and its GPU, as Ray names them. It can train now."""
        here = ray.get_runtime_context()
        return here.get_node_id(), *here.get_accelerator_ids()["GPU"]

    def train(self, job: Job, checkpoint: bytes | None) -> None:
        """Train a job; what there is to say of it is for `hear`, its outcome last.

        checkpoint: what it goes on from, unless the place for checkpoints has a later one.
        """
        self._interrupted.clear()
        self._said.put(guarded(lambda: self._train(job, checkpoint), job.number))

    @ray.method(concurrency_group=ANSWERS)
    def hear(self) -> Report | Notice | Alive | File | Outcome:
        """What it says next, once it does. A report and a file wait for `answer`."""
        return self._said.get()

    @ray.method(concurrency_group=ANSWERS)
    def answer(self, answer: Stop | OSError | None) -> None:
        """To a report: whether to stop. To a file: why it could not be kept, if so."""
        self._answers.put(answer)

    @ray.method(concurrency_group=ANSWERS)
    def interrupt(self) -> None:
        """Give up the job at the next batch."""
        self._interrupted.set()

    def _train(self, job: Job, checkpoint: bytes | None) -> Outcome:
        torch.set_num_threads(1)  # of this thread; each has a number of its own
        store = self._task.conditions.checkpoints
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            conditions = replace(self._task.conditions, folder=Path(folder))
            state = conditions.checkpoint(job.lineage)
            if job.keeps and (kept := (store.read(state.name) if store else None) or checkpoint):
                state.parent.mkdir()
                state.write_bytes(kept)

            def send(path: Path) -> None:  # and wait: what is lost on its way would be trained again
                if error := self._ask(File(str(path.relative_to(folder)), path.read_bytes())):
                    raise error

            def written(path: Path) -> None:
                if store is not None and path == state:
                    store.write(path.name, path.read_bytes())
                else:
                    send(path)

            outcome = run_trial(
                job, self._build, self._data(), conditions, report=self._ask,
                interrupted=giving_signs(self._interrupted.is_set, lambda: self._said.put(Alive())),
                say=lambda text: self._said.put(Notice(job.number, text)), written=written,
            )  # fmt: skip
            if store is not None and outcome.stopped.reached_best and state.is_file():
                with contextlib.suppress(OSError):  # a later start does not take it further then
                    send(state)
            return outcome

    def _ask(self, content: Report | File) -> Any:  # noqa: ANN401
        """Say it, and wait for the answer."""
        self._said.put(content)
        return self._answers.get()
