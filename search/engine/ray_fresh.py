"""Trainings of one best.yaml with fresh seeds on a Ray cluster; where a machine dies, trained again."""

import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import ray
import torch

from search.data.tensors import DeviceData
from search.engine.fresh import TURN_SECONDS, Candidate, Failure, Job, Task
from search.engine.ray_cluster import Files, shared_images
from search.results.best_yaml import load
from search.spaces import find_space
from search.start_weights import KEPT

MOST_LOSSES = 3  # of its worker, by one training

T = TypeVar("T")
Train = Callable[[Task, DeviceData, DeviceData, Candidate, int], T | str]  # as `search.engine.fresh.trained`


def train_fresh(
    task: Task, jobs: Sequence[Job], device: str, go_on: Callable[[], bool], train: Train[T]
) -> Generator[T | Failure, None, None]:
    """As `search.engine.fresh.train_fresh`, as many side by side as the cluster has room for; each has a device.

    train: what is called for each job; a string that it returns is why the training failed.
    """
    space = getattr(find_space(load(task.path).space, task.path.parent), "__file__", None)
    files = Files.read(task.path, task.path.with_name(KEPT), *([Path(space)] if space else []))
    shared = ray.put((train, task, device, files))
    images = [shared_images(task.data), shared_images(task.test)]
    options = {"num_cpus": 1, "num_gpus": int(device.startswith("cuda")), "max_retries": MOST_LOSSES - 1}
    on_node = ray.remote(**options)(_on_node)
    running = {on_node.remote(shared, *images, *job): job for job in jobs}
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


def _on_node(
    shared: tuple[Train[T], Task, str, Files], images: np.ndarray, test: np.ndarray, candidate: Candidate, seed: int
) -> T | str:
    train, task, device, files = shared
    where = torch.device(device)
    with tempfile.TemporaryDirectory(prefix="gapsearch-") as folder:
        files.unpack(Path(folder))
        here = replace(task, path=Path(folder) / task.path.name)
        data = task.data.with_images(images, where)
        return train(here, data, task.test.with_images(test, where), candidate, seed)
