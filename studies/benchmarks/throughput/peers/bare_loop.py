"""The leanest PyTorch loop: all images in tensors, a process per core with one thread each, only the figures kept.

It may use everything that this search uses: the batch augmentation of search.training.augment, channels_last, bf16,
averaged weights, a fork server that has imported everything once, huge pages. It draws its configurations at random.
It has no study, no rules and no report.
"""

import copy
import math
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torchvision import datasets

from search.processes import ALLOCATOR
from search.training.augment import augment
from search.training.precision import Precision
from studies.benchmarks.throughput.peers.task import (
    BATCH_SIZE,
    DEVIATION,
    DROPOUT,
    LEARNING_RATE,
    MEAN,
    STRENGTH,
    WEIGHT_DECAY,
    Report,
    Task,
    network,
    parse,
    split,
)

HORIZON = 1.5  # epochs that the averaged weights look back

Part = tuple[torch.Tensor, torch.Tensor]


class Trained(NamedTuple):
    """A trained trial. accuracy: after the last epoch. measuring: seconds spent on the two losses."""

    accuracy: float
    measuring: float


def load(task: Task) -> tuple[Part, Part, Part]:
    """Training images, train probe, validation images: pixels in [0, 1], shape (n, 1, 28, 28), and labels."""
    dataset = datasets.FashionMNIST(str(task.data_root), train=True)
    indices = split(dataset.targets.numpy(), task)
    pixels = dataset.data[:, None]
    train, probe, val = (
        (pixels[chosen].float() / 255, dataset.targets[chosen])
        for chosen in (indices.train, indices.probe, indices.val)
    )
    return train, probe, val


def logits_of(model: torch.nn.Module, pixels: torch.Tensor, precision: Precision) -> torch.Tensor:
    images = precision.place((pixels - MEAN) / DEVIATION)
    with precision.autocast("cpu"):
        logits = model(images)
    return logits.float()


def measure(model: torch.nn.Module, part: Part, precision: Precision) -> tuple[float, float]:
    """Mean cross-entropy and accuracy; `model` is in eval mode."""
    losses, correct = [], []
    with torch.inference_mode():
        for pixels, labels in zip(*(tensor.split(BATCH_SIZE) for tensor in part), strict=True):
            logits = logits_of(model, pixels, precision)
            losses.append(F.cross_entropy(logits, labels, reduction="none"))
            correct.append(logits.argmax(dim=1) == labels)
    return torch.cat(losses).mean().item(), torch.cat(correct).float().mean().item()


def tensors(model: torch.nn.Module) -> list[torch.Tensor]:
    """Weights, and the statistics of batch norm."""
    return [tensor for tensor in model.state_dict().values() if tensor.is_floating_point()]


def train(task: Task, number: int) -> Trained:
    """One trial."""
    torch.manual_seed(number)
    draw, precision = np.random.default_rng([task.seed, number]), Precision(task.bf16, channels_last=True)
    learning_rate, weight_decay = (math.exp(draw.uniform(*np.log(bounds))) for bounds in (LEARNING_RATE, WEIGHT_DECAY))
    (pixels, labels), probe, val = _data
    model = precision.place_model(network(task, draw.uniform(*DROPOUT)).train())
    averaged = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate, weight_decay=weight_decay, fused=True)
    mine, now = tensors(averaged), tensors(model)
    steps, step, measuring, accuracy = len(labels) // BATCH_SIZE, 0, 0.0, 0.0
    for _ in range(task.epochs):
        for indices in torch.randperm(len(labels)).split(BATCH_SIZE)[:steps]:
            batch = augment(pixels[indices], STRENGTH, flip=True) if task.augmentation else pixels[indices]
            loss = F.cross_entropy(logits_of(model, batch, precision), labels[indices])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():  # what torch.optim.swa_utils does, with a horizon that grows at first
                torch._foreach_lerp_(mine, now, min(1.0, max(1 / (HORIZON * steps), 9 / (10 + step))))
            step += 1
        started = time.perf_counter()
        measure(averaged, probe, precision)
        _, accuracy = measure(averaged, val, precision)
        measuring += time.perf_counter() - started
    return Trained(accuracy, measuring)


_data: tuple[Part, Part, Part]


def initialize(task: Task) -> None:
    """Prepare a process: one thread, and its images."""
    global _data
    torch.set_num_threads(1)
    _data = load(task)


def main() -> None:
    """All trials, as many at a time as there are cores."""
    task = parse()
    report = Report()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["search.workers.preload", "studies.benchmarks.throughput.peers.bare_loop"])
    os.environ |= ALLOCATOR
    with ProcessPoolExecutor(task.cores, context, initialize, (task,)) as pool:
        trained = list(pool.map(train, [task] * task.trials, range(task.trials)))
    report.write(
        [task.epochs] * task.trials,
        [trial.accuracy for trial in trained],
        measuring=sum(trial.measuring for trial in trained),
        precision="bf16" if task.bf16 else "float32",
    )


if __name__ == "__main__":
    main()
