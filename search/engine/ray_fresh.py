"""Trainings with fresh seeds on a Ray cluster, as `search.engine.fresh`; where a machine dies, trained again."""

import tempfile
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import ray
import torch

from search.data.tensors import DeviceData, SearchData
from search.engine.fresh import TURN_SECONDS, Candidate, Failure, Fresh, Job, Task, trained
from search.results.best_yaml import load
from search.spaces import find_space
from search.start_weights import KEPT

MOST_LOSSES = 3  # of its worker, by one training


def train_fresh(
    task: Task, jobs: Sequence[Job], device: str, go_on: Callable[[], bool]
) -> Generator[Fresh | Failure, None, None]:
    """As `search.engine.fresh.train_fresh`, as many side by side as the cluster has room for; each has a device."""
    space = getattr(find_space(load(task.path).space, task.path.parent), "__file__", None)
    needed = [task.path, task.path.with_name(KEPT), *([Path(space)] if space else [])]
    files = ray.put({path.name: path.read_bytes() for path in needed if path.is_file()})
    images = [ray.put(np.asarray(np.load(data.images, mmap_mode="r"))) for data in (task.data, task.test)]
    shared = ray.put(task)
    options = {"num_cpus": 1, "num_gpus": int(device.startswith("cuda")), "max_retries": MOST_LOSSES - 1}
    train = ray.remote(**options)(_train)
    running = {train.remote(shared, device, files, *images, *job): job for job in jobs}
    try:
        while running and go_on():
            for ready in ray.wait(list(running), timeout=TURN_SECONDS)[0]:
                candidate, seed = running.pop(ready)
                try:
                    said = ray.get(ready)
                except ray.exceptions.RayError as error:
                    said = str(error).strip().splitlines()[-1]
                yield said if isinstance(said, Fresh) else Failure(candidate.trial, seed, said)
    finally:
        for left in running:
            ray.cancel(left, force=True)


def _train(
    task: Task, device: str, files: Mapping[str, bytes], train: np.ndarray, test: np.ndarray, candidate: Candidate,
    seed: int,
) -> Fresh | str:  # fmt: skip
    """On a node. files: what a network is built from, by name; train, test: the images of the task."""
    where = torch.device(device)
    with tempfile.TemporaryDirectory(prefix="gapsearch-") as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        here = replace(task, path=Path(folder) / task.path.name)
        return trained(here, _placed(task.data, train, where), _placed(task.test, test, where), candidate, seed)


def _placed(data: SearchData, images: np.ndarray, device: torch.device) -> DeviceData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the array is read-only, and nobody writes to it
        return data.with_images(images, device)
