"""The task of every contender and the report that it answers with: flags, images, network, one line of figures."""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

    from search.data.splits import Splits

STUDY = "throughput"
CLASSES = 10
BATCH_SIZE = 128
STRENGTH = 0.5  # of the augmentation, where there is any: half of each range in `search.training.augment`
MEAN, DEVIATION = 0.286, 0.353  # of Fashion-MNIST's pixels in [0, 1]
# What the trials differ in. None of it changes the amount of work.
LEARNING_RATE = (5e-4, 1e-2)  # drawn on a log scale
WEIGHT_DECAY = (1e-2, 3.0)  # drawn on a log scale
DROPOUT = (0.0, 0.5)
NETWORKS = {
    "small": {"depth": 3, "width": 8, "kernel_size": 3},
    "medium-sized": {"depth": 4, "width": 24, "kernel_size": 3},
}


@dataclass(frozen=True)
class Task:
    """`trials` trials of `epochs` epochs on `cores` cores. folder: empty, for the files of a contender."""

    network: str
    augmentation: bool
    trials: int
    epochs: int
    train_size: int
    val_size: int
    cores: int
    seed: int
    data_root: Path
    folder: Path
    bf16: bool = False  # only for this search and the bare loop
    copies: int = 1  # processes that share the trials

    def arguments(self) -> list[str]:
        """The flags that `parse` reads as this task."""
        given = [(f"--{field.name.replace('_', '-')}", getattr(self, field.name)) for field in fields(self)]
        flags = [flag for flag, value in given if value is True]
        return flags + [part for flag, value in given if not isinstance(value, bool) for part in (flag, str(value))]


def parse(arguments: Sequence[str] | None = None) -> Task:
    """The task of a contender's command line."""
    parser = argparse.ArgumentParser()
    for field in fields(Task):
        flag = f"--{field.name.replace('_', '-')}"
        if field.type is bool:
            parser.add_argument(flag, action="store_true")
        else:
            parser.add_argument(flag, type=field.type, required=True)
    return Task(**vars(parser.parse_args(arguments)))


def split(labels: "np.ndarray", task: Task) -> "Splits":
    """Indices to train on, to validate on, and of the train probe: the same for all."""
    from search.data.splits import split

    return split(labels, task.train_size, task.val_size, seed=0)


def shared_storage(task: Task) -> str:
    """The storage of a study that several processes share."""
    return f"sqlite:///{task.folder / 'study.db'}"


def network(task: Task, dropout: float) -> "torch.nn.Module":
    """The network of all but Keras."""
    from spaces import cnn

    config = NETWORKS[task.network] | {"dropout": dropout}
    return cnn.build(config, channels=1, image_size=(28, 28), classes=CLASSES)


class Report:
    """Make one when the imports of a contender are done; `write` prints the line that the benchmark reads."""

    def __init__(self) -> None:
        self._began, self._cpu_before = time.time(), time.process_time()

    def write(
        self,
        epochs: Sequence[int],
        accuracies: Sequence[float],
        *,
        measuring: float | None = None,
        precision: str = "float32",
    ) -> None:
        """Print the figures.

        epochs: really trained, for each trial. accuracies: on the validation images after the last epoch, for each
        trial that was trained to its end. measuring: seconds that all trials together spent on the two losses.
        """
        line: dict[str, Any] = {
            "began": self._began,
            "ended": time.time(),
            "cpu_before": self._cpu_before,
            "epochs": list(epochs),
            "accuracies": list(accuracies),
            "measuring": measuring,
            "precision": precision,
        }
        print(json.dumps(line), flush=True)
