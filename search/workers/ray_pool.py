"""Workers on a Ray cluster: the parent asks, judges and tells as before, actors train."""

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray

from search.data.tensors import SearchData
from search.errors import UserError
from search.files import replace_file
from search.spaces import portable
from search.start_weights import KEPT
from search.training.trial import Conditions, Job, Stop
from search.workers.pool import Alive, Lost, Message, Pool, Worker
from search.workers.ray_actor import ANSWERS, File, Task, TrialActor
from search.workers.ray_cluster import Files

WHOLE = 10_000  # parts in which Ray counts a GPU
NO_PLACE_SECONDS = 30.0  # for the first actor, until it is said
MOST_DEATHS = 3  # of each actor that is wanted, one after the other, none of which had started

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class RayWorker(Worker):
    """An actor, which has no place while it is pending."""

    place: tuple[str, ...] = field(default=(), kw_only=True)  # its node and its GPU, as Ray names them
    actor: Any
    parts: int  # of a GPU
    said: Any  # Ray's reference to what it says next


class RayPool(Pool[RayWorker]):
    """As many actors as wanted: those that find no room yet are pending, which is what an autoscaler looks at.

    Each takes a core, and a GPU or a part of one. Nodes that join are used at once. Those that share a GPU are actors
    too, not threads of one: threads would share the interpreter's lock, and a crash of one would take the others with
    it. As with local processes, nothing keeps their memory apart: see `retire`.
    """

    workers: list[RayWorker]  # and those that are pending

    def __init__(
        self, wanted: int, device: str, packed: int, space: str, data: SearchData, conditions: Conditions
    ) -> None:
        """packed: how many share a GPU; fewer where the cluster has GPUs enough."""
        self.data, self.conditions, self.workers = data, conditions, []
        self._wanted, self._device = wanted, device
        files = Files.read(conditions.folder / KEPT, Path(space))
        self._task = ray.put(Task(device, portable(space), files, data.with_content(), conditions))
        self._actor = ray.remote(num_cpus=1, max_restarts=0, concurrency_groups={ANSWERS: 2})(TrialActor)
        self._began, self._told, self._deaths = time.monotonic(), False, 0
        gpus = max(ray.cluster_resources().get("GPU", 0), 1)
        self._parts = WHOLE // min(packed, math.ceil(wanted / gpus)) if device == "cuda" else 0

    @property
    def most(self) -> int:
        """Workers that are wanted."""
        return self._wanted

    def idle(self) -> list[RayWorker]:
        """Actors that have started and have no job."""
        return [worker for worker in super().idle() if worker.place]

    def submit(self, worker: RayWorker, job: Job) -> None:
        """Hand `job` to an idle actor, with its checkpoint."""
        worker.take(job)
        checkpoint = self.conditions.checkpoint(job.lineage)
        worker.actor.train.remote(job, checkpoint.read_bytes() if job.keeps and checkpoint.is_file() else None)

    def wait(self, seconds: float) -> Iterator[Message]:
        """What actors have said; see `Pool.wait`. Raises UserError where none can start."""
        for _ in range(self._wanted - len(self.workers)):
            actor = self._actor.options(num_gpus=self._parts / WHOLE).remote(self._task)
            self.workers.append(RayWorker(self._device, actor, self._parts, actor.place.remote()))
        self._tell_of_no_place()
        waiting = {worker.said: worker for worker in self.workers if worker.job or not worker.place}
        if not waiting:
            return
        ray.wait(list(waiting), timeout=seconds)
        for ready in ray.wait(list(waiting), num_returns=len(waiting), timeout=0)[0]:
            if (worker := waiting[ready]) in self.workers:
                yield from self._receive(worker)

    def _tell_of_no_place(self) -> None:
        """Once, where no actor has found a place for a while: it may be found at any time."""
        if any(worker.place for worker in self.workers):
            self._began = math.inf
        if time.monotonic() - self._began > NO_PLACE_SECONDS and not self._told:
            logger.warning("no worker has a place on the Ray cluster yet: all its cores, or GPUs, are taken; waiting")
            self._told = True

    def answer(self, worker: RayWorker, stop: Stop | None) -> None:
        """Answer a report; the actor waits for it."""
        worker.actor.answer.remote(stop)

    def end(self, worker: RayWorker) -> None:
        """End an actor by force."""
        ray.kill(worker.actor)

    def retire(self, worker: RayWorker) -> bool:
        """End an idle actor that shares a GPU; whether it did. Others ask for more than it leaves free from now on."""
        if worker.parts == 0 or not self.shares_gpu(worker):
            return False
        self._dismiss(*(other for other in self.workers if not other.place), worker)  # before any takes its place
        free = WHOLE - sum(other.parts for other in self.workers if other.place == worker.place)
        self._parts, self._wanted = max(self._parts, free + 1), self._wanted - 1
        return True

    def interrupt(self) -> None:
        """Tell every actor to give up its job at the next batch."""
        for worker in self.busy():
            worker.actor.interrupt.remote()

    def reopen(self) -> None:
        """After `interrupt`: end those that still have a job; `wait` has others take their places."""
        self._dismiss(*self.busy())

    def close(self) -> None:
        """End all actors."""
        self._dismiss(*self.workers)

    def _dismiss(self, *workers: RayWorker) -> None:
        for worker in workers:
            self.workers.remove(worker)
            self.end(worker)

    def _receive(self, worker: RayWorker) -> Iterator[Message]:
        """What a busy actor has said; where a pending one is, now that it has started."""
        try:
            content = ray.get(worker.said)
            worker.said = worker.actor.hear.remote()
        except ray.exceptions.RayError as error:
            content = self._lost(worker, error)
        if worker.job is None:  # it was pending
            self._deaths = self._deaths + 1 if isinstance(content, Lost) else 0
            worker.place = () if isinstance(content, Lost) else content
            if self._deaths > MOST_DEATHS * self._wanted:
                raise UserError("workers on Ray die as they start, perhaps for want of memory; see its logs")
        elif isinstance(content, File):
            worker.heard()
            worker.actor.answer.remote(self._keep(content))
        elif isinstance(content, Alive):
            worker.heard()
        else:
            yield self.said(worker, content)

    def _keep(self, file: File) -> OSError | None:
        """Have a file in the run folder; why that cannot be, if so."""
        path = self.conditions.folder / file.name
        try:
            replace_file(path, lambda scratch: scratch.write_bytes(file.content))
        except OSError as error:
            return OSError(error.errno, f"{path.parent} of the search takes no file: {error.strerror}")
        return None

    def _lost(self, worker: RayWorker, error: Exception) -> Lost:
        """An actor has died; `wait` has another one take its place. Raises UserError where none can start."""
        self._dismiss(worker)
        if getattr(error, "actor_init_failed", False):
            cause = str(error).strip().splitlines()[-1]
            raise UserError(
                f"no worker can start on Ray: {cause}; each node needs gapsearch and what the space imports"
            ) from error
        if any(node["Alive"] and node["NodeID"] in worker.place for node in ray.nodes()):
            return Lost("has died, perhaps for want of memory")
        return Lost("is gone with its machine", with_machine=True)
