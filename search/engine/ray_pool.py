"""Workers on a Ray cluster: the parent asks, judges and tells as before, actors train."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search.data.tensors import SearchData
from search.engine.pool import Lost, Message, Pool, Worker
from search.errors import UserError
from search.files import replace_file
from search.spaces import is_file
from search.start_weights import KEPT
from search.training.trial import Conditions, Job, Outcome, Stop


@dataclass(eq=False)
class RayWorker(Worker):
    """An actor that is ready to train."""

    actor: Any
    node: str  # where it runs, by Ray's identifier
    said: Any = None  # Ray's stream of what it says of its job


class RayPool(Pool[RayWorker]):
    """As many actors as wanted: those that find no room yet are pending, which is what an autoscaler looks at.

    Each takes a core, or a GPU and a core. Nodes that join are used at once.
    """

    def __init__(self, wanted: int, device: str, space: str, data: SearchData, conditions: Conditions) -> None:
        import ray

        from search.engine.ray_actor import ANSWERS, Task, TrialActor

        self.data, self.conditions, self._wanted, self._device = data, conditions, wanted, device
        self._ray = ray
        self.workers: list[RayWorker] = []
        self._pending: dict[Any, Any] = {}  # actors, by what tells that they are ready
        needed = [conditions.folder / KEPT, *([Path(space)] if is_file(space) else [])]
        files = {path.name: path.read_bytes() for path in needed if path.is_file()}
        self._images = ray.put(np.asarray(np.load(data.images, mmap_mode="r")))
        self._task = ray.put(Task(device, space, files, tuple(sys.path), data, conditions))
        needs = {"num_cpus": 1, "num_gpus": int(device.startswith("cuda"))}
        self._actor = ray.remote(max_restarts=0, concurrency_groups={ANSWERS: 1}, **needs)(TrialActor)

    @property
    def most(self) -> int:
        """Workers that are wanted."""
        return self._wanted

    def submit(self, worker: RayWorker, job: Job) -> None:
        """Hand `job` to an idle actor, with its checkpoint."""
        worker.take(job)
        checkpoint = self.conditions.checkpoint(job.lineage)
        kept = checkpoint.read_bytes() if job.keeps and checkpoint.is_file() else None
        worker.said = worker.actor.train.options(num_returns="streaming").remote(job, kept)

    def wait(self, seconds: float) -> Iterator[Message]:
        """What actors have said; see `Pool.wait`. Raises UserError where none can start."""
        for _ in range(self._wanted - len(self.workers) - len(self._pending)):
            actor = self._actor.remote(self._images, self._task)
            self._pending[actor.node.remote()] = actor
        speaking = {worker.said: worker for worker in self.busy()}
        both = [*self._pending, *speaking]
        if not both:
            return
        self._ray.wait(both, timeout=seconds)
        for ready in self._ray.wait(both, num_returns=len(both), timeout=0)[0]:
            if ready in speaking:
                yield from self._receive(speaking[ready])
            else:
                self._welcome(ready)

    def answer(self, worker: RayWorker, stop: Stop | None) -> None:
        """Answer a report; the actor waits for it."""
        worker.actor.answer.remote(stop)

    def end(self, worker: RayWorker) -> None:
        """End an actor by force."""
        self._ray.kill(worker.actor)

    def retire(self, worker: RayWorker) -> bool:
        """None shares a GPU."""
        return False

    def interrupt(self) -> None:
        """Tell every actor to give up its job at the next batch."""
        for worker in self.busy():
            worker.actor.interrupt.remote()

    def reopen(self) -> None:
        """After `interrupt`: end those that still have a job; `wait` has others take their places."""
        for worker in self.busy():
            self._dismiss(worker)

    def close(self) -> None:
        """End all actors."""
        for worker in list(self.workers):
            self._dismiss(worker)
        for actor in self._pending.values():
            self._ray.kill(actor)
        self._pending.clear()

    def kill(self) -> None:
        """Ray ends what this process has started when it ends."""

    def _dismiss(self, worker: RayWorker) -> None:
        self.workers.remove(worker)
        worker.job = worker.said = None
        self.end(worker)

    def _welcome(self, ready: Any) -> None:  # noqa: ANN401
        """An actor is ready, or has died before it was."""
        actor = self._pending.pop(ready)
        try:
            self.workers.append(RayWorker(self._device, actor, self._ray.get(ready)))
        except self._ray.exceptions.RayActorError as error:
            if error.actor_init_failed:
                cause = str(error).strip().splitlines()[-1]
                raise UserError(
                    f"no worker can start on Ray: {cause}; each node needs gapsearch and what the space imports"
                ) from error

    def _receive(self, worker: RayWorker) -> Iterator[Message]:
        from search.engine.ray_actor import File

        job = worker.job
        assert job is not None
        try:
            content = self._ray.get(next(worker.said))
        except self._ray.exceptions.RayError:
            yield Message(worker, job, self._lost(worker))
            return
        worker.heard()
        if isinstance(content, File):
            replace_file(self.conditions.folder / content.name, lambda path: path.write_bytes(content.content))
            return
        if isinstance(content, Outcome):
            worker.job = worker.said = None
        yield Message(worker, job, content)

    def _lost(self, worker: RayWorker) -> Lost:
        """An actor has died; `wait` has another one take its place."""
        self._dismiss(worker)
        alive = [node["NodeID"] for node in self._ray.nodes() if node["Alive"]]
        if worker.node in alive:
            return Lost("has died, perhaps for want of memory")
        return Lost("is gone with its machine", with_machine=True)
