"""The `cnn` space; its networks write down every training step of a worker, so that work done twice can be seen.

FAULTS_STEPS in the environment names the file, FAULTS_SECONDS how much longer each image takes: with it, trials last
as long as those of large networks, and two cores are enough for several of them.
"""

import json
import multiprocessing
import os
import threading
import time
import zlib
from collections.abc import Mapping
from typing import Any

import torch

from spaces import cnn
from spaces.cnn import Ranges, suggest

__all__ = ["Ranges", "build", "suggest"]


def build(config: Mapping[str, Any], *, channels: int, image_size: tuple[int, int], classes: int) -> torch.nn.Module:
    """The network of `spaces.cnn`, counted."""
    network = cnn.build(config, channels=channels, image_size=image_size, classes=classes)
    return Counted(network, zlib.crc32(json.dumps(config, sort_keys=True).encode()))


class Counted(torch.nn.Module):
    """A network that knows how often it was trained; a checkpoint keeps the number."""

    step: torch.Tensor

    def __init__(self, network: torch.nn.Module, config: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("step", torch.zeros((), dtype=torch.long))
        self._trial = f"{torch.initial_seed()} {config}"  # and those that go on with it; in a race they share seeds

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (n, c, h, w) -> logits (n, classes)."""
        if self.training and torch.is_grad_enabled() and _in_worker():
            time.sleep(float(os.environ["FAULTS_SECONDS"]) * len(images))
            self.step += 1
            with open(os.environ["FAULTS_STEPS"], "a") as file:
                file.write(f"{self._trial} {os.getpid()} {int(self.step)} {len(images)} {time.time()}\n")
        return self.network(images)


def _in_worker() -> bool:
    """Whether a trial trains it: in a process that another one has started, or on Ray in a thread of its own."""
    return multiprocessing.parent_process() is not None or threading.current_thread() is not threading.main_thread()
