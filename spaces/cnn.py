"""Plain convolutional networks: convolution, pooling while the image is large enough, batch norm, ReLU, dropout.

The first convolution of images beyond 64 pixels has strides, without which most of the time would go there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from spaces import Trial
from spaces._shapes import averaged, stem_stride

SMALLEST_POOLED = 8  # images with a shorter side are not pooled any more
LARGEST_HEAD = 4  # the classifier sees feature maps averaged down to at most this side


@dataclass(frozen=True)
class Ranges:
    """Lowest and highest value of each parameter, both included. A study may narrow them."""

    depth: tuple[int, int] = (2, 6)  # convolutions
    width: tuple[int, int] = (8, 48)  # channels of the first one; doubled at each pooling, up to four times
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


def build(config: Mapping[str, Any], *, channels: int, image_size: tuple[int, int], classes: int) -> nn.Module:
    """The network of `config`: images (n, channels, *image_size) -> logits (n, classes).

    config needs `depth`, `width`, `kernel_size` and `dropout`; its other entries concern training alone.
    """
    stride = stem_stride(image_size)
    height, width = (-(-side // stride) for side in image_size)
    layers: list[nn.Module] = []
    filters = config["width"]
    for _ in range(config["depth"]):
        pooled = min(height, width) >= SMALLEST_POOLED
        layers += _stage(channels, filters, config["kernel_size"], stride, config["dropout"], pooled)
        channels, stride = filters, 1
        if pooled:
            height, width = height // 2, width // 2
            filters = min(2 * filters, 4 * config["width"])
    pool, height, width = averaged(height, width, LARGEST_HEAD)
    head = [
        pool,
        nn.Flatten(),
        nn.Dropout(config["dropout"]),
        nn.Linear(channels * height * width, classes),
    ]
    return nn.Sequential(*layers, *head)


def _stage(channels: int, filters: int, kernel_size: int, stride: int, dropout: float, pooled: bool) -> list[nn.Module]:
    """Pooling comes before batch norm and ReLU, which then have a quarter of the work."""
    return [
        nn.Conv2d(channels, filters, kernel_size, stride, padding=kernel_size // 2, bias=False),
        *([nn.MaxPool2d(2)] if pooled else []),
        nn.BatchNorm2d(filters),
        nn.ReLU(inplace=True),
        *([nn.Dropout2d(dropout)] if pooled else []),
    ]
