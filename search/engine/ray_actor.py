"""What runs on the nodes of a Ray cluster: an actor that trains one trial after the other.

Each trial writes to a folder of its own. What it writes goes to the parent, or to a place for checkpoints.
"""

import queue
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import ray
import torch

from search.data.tensors import SearchData
from search.engine.pool import guarded
from search.engine.ray_cluster import Files
from search.spaces import find_space
from search.start_weights import KEPT, beginning_with
from search.training.trial import Conditions, Job, Notice, Outcome, Report, Stop, run_trial

ANSWERS = "answers"  # the concurrency group of what must be heard while a trial runs


@dataclass(frozen=True)
class Task:
    """What all actors of a search share, the images apart."""

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
    """One trial at a time, on one core or one GPU."""

    def __init__(self, images: np.ndarray, task: Task) -> None:
        self._task = task
        self._folder = tempfile.TemporaryDirectory(prefix="gapsearch-")
        folder = Path(self._folder.name)
        task.files.unpack(folder)
        self._build = beginning_with(find_space(task.space, folder).build, folder / KEPT)
        self._data = task.data.with_images(images, torch.device(task.device))
        self._answers: queue.SimpleQueue[Stop | None] = queue.SimpleQueue()
        self._interrupted = threading.Event()

    def node(self) -> str:
        """Where it runs, by Ray's identifier; it can train now."""
        return ray.get_runtime_context().get_node_id()

    def train(self, job: Job, checkpoint: bytes | None) -> Iterator[Report | Notice | File | Outcome]:
        """Train a job; what there is to say of it, its outcome last. A report waits for `answer`.

        checkpoint: what it goes on from, unless the place for checkpoints has a later one.
        """
        self._interrupted.clear()
        said: queue.SimpleQueue[Report | Notice | File | Outcome] = queue.SimpleQueue()

        def train() -> None:
            said.put(guarded(lambda: self._train(job, checkpoint, said.put), job.number))

        threading.Thread(target=train, daemon=True).start()
        content = None
        while not isinstance(content, Outcome):
            yield (content := said.get())

    @ray.method(concurrency_group=ANSWERS)
    def answer(self, stop: Stop | None) -> None:
        """Answer the last report."""
        self._answers.put(stop)

    @ray.method(concurrency_group=ANSWERS)
    def interrupt(self) -> None:
        """Give up the job at the next batch."""
        self._interrupted.set()

    def _train(self, job: Job, checkpoint: bytes | None, say: Callable[[Report | Notice | File], None]) -> Outcome:
        torch.set_num_threads(1)  # of this thread; each has a number of its own
        store = self._task.conditions.checkpoints
        with tempfile.TemporaryDirectory(dir=self._folder.name) as folder:
            conditions = replace(self._task.conditions, folder=Path(folder))
            state = conditions.checkpoint(job.lineage)
            if job.keeps and (kept := (store.read(state.name) if store else None) or checkpoint):
                state.parent.mkdir()
                state.write_bytes(kept)

            def send(path: Path) -> None:
                say(File(str(path.relative_to(folder)), path.read_bytes()))

            def written(path: Path) -> None:
                if store is not None and path == state:
                    store.write(path.name, path.read_bytes())
                else:
                    send(path)

            def report(content: Report) -> Stop | None:
                say(content)
                return self._answers.get()

            outcome = run_trial(
                job, self._build, self._data, conditions, report=report, interrupted=self._interrupted.is_set,
                say=lambda text: say(Notice(job.number, text)), written=written,
            )  # fmt: skip
            if store is not None and outcome.stopped.reached_best and state.is_file():
                send(state)  # which may be taken further by a later start
            return outcome
