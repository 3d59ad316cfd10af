"""Workers on a Ray cluster: the parent asks, judges and tells as before, actors train."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from search.data.tensors import SearchData
from search.engine.pool import Lost, Message, Pool, Worker
from search.engine.ray_actor import ANSWERS, File, Task, TrialActor
from search.engine.ray_cluster import Files, shared_images
from search.errors import UserError
from search.files import replace_file
from search.spaces import portable
from search.start_weights import KEPT
from search.training.trial import Conditions, Job, Stop


@dataclass(eq=False)
class RayWorker(Worker):
    """An actor that is ready to train."""

    actor: Any
    node: str  # where it runs, by Ray's identifier
    stream: Any = None  # Ray's stream of what it says of its job


class RayPool(Pool[RayWorker]):
    """As many actors as wanted: those that find no room yet are pending, which is what an autoscaler looks at.

    Each takes a core, or a GPU and a core. Nodes that join are used at once.
    """

    def __init__(self, wanted: int, device: str, space: str, data: SearchData, conditions: Conditions) -> None:
        self.data, self.conditions, self._wanted, self._device = data, conditions, wanted, device
        self.workers: list[RayWorker] = []
        self._pending: dict[Any, Any] = {}  # actors, by what tells that they are ready
        files = Files.read(conditions.folder / KEPT, Path(space))
        self._images = shared_images(data)
        self._task = ray.put(Task(device, portable(space), files, data, conditions))
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
        worker.stream = worker.actor.train.options(num_returns="streaming").remote(job, kept)

    def wait(self, seconds: float) -> Iterator[Message]:
        """What actors have said; see `Pool.wait`. Raises UserError where none can start."""
        for _ in range(self._wanted - len(self.workers) - len(self._pending)):
            actor = self._actor.remote(self._images, self._task)
            self._pending[actor.node.remote()] = actor
        speaking = {worker.stream: worker for worker in self.busy()}
        both = [*self._pending, *speaking]
        if not both:
            return
        ray.wait(both, timeout=seconds)
        for ready in ray.wait(both, num_returns=len(both), timeout=0)[0]:
            if ready in speaking:
                yield from self._receive(speaking[ready])
            else:
                self._welcome(ready)

    def answer(self, worker: RayWorker, stop: Stop | None) -> None:
        """Answer a report; the actor waits for it."""
        worker.actor.answer.remote(stop)

    def end(self, worker: RayWorker) -> None:
        """End an actor by force."""
        ray.kill(worker.actor)

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
            ray.kill(actor)
        self._pending.clear()

    def _dismiss(self, worker: RayWorker) -> None:
        self.workers.remove(worker)
        self.end(worker)

    def _welcome(self, ready: Any) -> None:  # noqa: ANN401
        """An actor is ready, or has died before it was."""
        actor = self._pending.pop(ready)
        try:
            self.workers.append(RayWorker(self._device, actor, ray.get(ready)))
        except ray.exceptions.RayActorError as error:
            if error.actor_init_failed:
                cause = str(error).strip().splitlines()[-1]
                raise UserError(
                    f"no worker can start on Ray: {cause}; each node needs gapsearch and what the space imports"
                ) from error

    def _receive(self, worker: RayWorker) -> Iterator[Message]:
        try:
            content = ray.get(next(worker.stream))
        except ray.exceptions.RayError:
            content = self._lost(worker)
        if isinstance(content, File):
            worker.heard()
            replace_file(self.conditions.folder / content.name, lambda path: path.write_bytes(content.content))
        else:
            yield self.said(worker, content)

    def _lost(self, worker: RayWorker) -> Lost:
        """An actor has died; `wait` has another one take its place."""
        self._dismiss(worker)
        alive = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
        if worker.node in alive:
            return Lost("has died, perhaps for want of memory")
        return Lost("is gone with its machine", with_machine=True)
