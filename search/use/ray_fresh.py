"""Trainings of one best.yaml with fresh seeds on a Ray cluster; where a machine dies, trained again."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import ray
import torch

from search.results.best_yaml import load
from search.spaces import find_space
from search.start_weights import KEPT
from search.use.fresh import TURN_SECONDS, Candidate, Failure, Job, Task
from search.workers.ray_cluster import Files

MOST_LOSSES = 3  # of its worker, by one training

T = TypeVar("T")
Train = Callable[[Task, torch.device, Candidate, int], T | str]  # as `search.use.fresh.trained`


def train_fresh(
    task: Task, jobs: Sequence[Job], device: str, go_on: Callable[[], bool], train: Train[T]
) -> Generator[T | Failure, None, None]:
    """As `search.use.fresh.train_fresh`, as many side by side as the cluster has room for; each has a device.

    train: what is called for each job; a string that it returns is why the training failed.
    """
    space = getattr(find_space(load(task.path).space, task.path.parent), "__file__", None) or ""
    files = Files.read(task.path, task.path.with_name(KEPT), Path(space))
    sent = replace(task, data=task.data.with_content(), test=task.test.with_content())
    shared = ray.put((train, sent, device, files))  # which each node has once
    on_node = ray.remote(num_cpus=1, num_gpus=int(device == "cuda"), max_retries=MOST_LOSSES - 1)(_on_node)
    running = {on_node.remote(shared, *job): job for job in jobs}
    try:
        while running and go_on():
            for ready in ray.wait(list(running), timeout=TURN_SECONDS)[0]:
                candidate, seed = running.pop(ready)
                try:
                    said = ray.get(ready)
                except ray.exceptions.RayError as error:
                    said = str(error).strip().splitlines()[-1]
                yield Failure(candidate.trial, seed, said) if isinstance(said, str) else said
    finally:
        for left in running:
            ray.cancel(left, force=True)


def _on_node(shared: tuple[Train[T], Task, str, Files], candidate: Candidate, seed: int) -> T | str:
    train, task, device, files = shared
    here = replace(task, path=files.unpack() / task.path.name)
    return train(here, torch.device(device), candidate, seed)
