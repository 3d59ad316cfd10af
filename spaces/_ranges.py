"""What the convolutional families draw: one set of ranges, so that a search over either compares with the other."""

from dataclasses import dataclass
from typing import Any

from spaces import Trial


@dataclass(frozen=True)
class Ranges:
    """Lowest and highest value of each parameter, both included. A study may narrow them."""

    depth: tuple[int, int] = (2, 6)  # convolutions of `cnn`; blocks of two convolutions of `resnet`
    width: tuple[int, int] = (8, 48)  # channels at the start, which grow where the resolution is halved; log scale
    kernel_size: tuple[int, int] = (3, 5)  # odd
    dropout: tuple[float, float] = (0.0, 0.5)
    weight_decay: tuple[float, float] = (1e-2, 3.0)  # AdamW's; log scale
    batch_size: tuple[int, int] = (32, 256)  # log scale
    augmentation: tuple[float, float] = (0.0, 1.0)
    learning_rate: tuple[float, float] = (5e-4, 1e-2)  # log scale


def suggest(trial: Trial, ranges: Ranges | None = None) -> dict[str, Any]:
    """Draw one configuration from `ranges`."""
    ranges = ranges or Ranges()
    return {
        "depth": trial.suggest_int("depth", *ranges.depth),
        "width": trial.suggest_int("width", *ranges.width, log=True),
        "kernel_size": trial.suggest_int("kernel_size", *ranges.kernel_size, step=2),
        "dropout": trial.suggest_float("dropout", *ranges.dropout),
        "weight_decay": trial.suggest_float("weight_decay", *ranges.weight_decay, log=True),
        "batch_size": trial.suggest_int("batch_size", *ranges.batch_size, log=True),
        "augmentation": trial.suggest_float("augmentation", *ranges.augmentation),
        "learning_rate": trial.suggest_float("learning_rate", *ranges.learning_rate, log=True),
    }


def start() -> list[dict[str, Any]]:
    """What a search tries first: the default configuration, then two that did well elsewhere, the cheaper one first.

    Found by `studies/benchmarks/search/starts.py` in the recorded tables of three data sets.
    """
    names = tuple(Ranges.__dataclass_fields__)
    return [
        dict(zip(names, values, strict=True))
        for values in (
            (4, 32, 3, 0.15, 0.05, 64, 0.20, 1e-3),
            (4, 37, 3, 0.21, 0.0105, 33, 0.28, 7e-4),
            (6, 47, 3, 0.07, 0.39, 44, 0.26, 1e-3),
        )
    ]
