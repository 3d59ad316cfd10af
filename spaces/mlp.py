"""Fully connected networks: linear, batch norm, ReLU, dropout. They see images averaged down to at most 32x32."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from spaces import Trial
from spaces._shapes import averaged, checked_depth

LARGEST_INPUT = 32  # side; a layer on all pixels of a 224x224 photograph would have 150,000 weights per unit


@dataclass(frozen=True)
class Ranges:
    """Lowest and highest value of each parameter, both included. A study may narrow them."""

    depth: tuple[int, int] = (1, 3)  # hidden layers
    width: tuple[int, int] = (64, 512)  # units in each of them; log scale
    dropout: tuple[float, float] = (0.0, 0.5)
    weight_decay: tuple[float, float] = (1e-2, 3.0)  # AdamW's; log scale
    batch_size: tuple[int, int] = (32, 256)  # log scale
    augmentation: tuple[float, float] = (0.0, 0.5)  # a shifted image is a new one to it
    learning_rate: tuple[float, float] = (1e-3, 1e-2)  # log scale


def suggest(trial: Trial, ranges: Ranges | None = None) -> dict[str, Any]:
    """Draw one configuration from `ranges`."""
    ranges = ranges or Ranges()
    return {
        "depth": trial.suggest_int("depth", *ranges.depth),
        "width": trial.suggest_int("width", *ranges.width, log=True),
        "dropout": trial.suggest_float("dropout", *ranges.dropout),
        "weight_decay": trial.suggest_float("weight_decay", *ranges.weight_decay, log=True),
        "batch_size": trial.suggest_int("batch_size", *ranges.batch_size, log=True),
        "augmentation": trial.suggest_float("augmentation", *ranges.augmentation),
        "learning_rate": trial.suggest_float("learning_rate", *ranges.learning_rate, log=True),
    }


def start() -> list[dict[str, Any]]:
    """What a search tries first: a default configuration."""
    return [
        {
            "depth": 2,
            "width": 256,
            "dropout": 0.2,
            "weight_decay": 0.05,
            "batch_size": 64,
            "augmentation": 0.1,
            "learning_rate": 2e-3,
        }
    ]


def build(config: Mapping[str, Any], *, channels: int, image_size: tuple[int, int], classes: int) -> nn.Module:
    """The network of `config`: images (n, channels, *image_size) -> logits (n, classes).

    config needs `depth`, `width` and `dropout`; its other entries concern training alone.
    """
    pool, height, width = averaged(*image_size, LARGEST_INPUT)
    layers: list[nn.Module] = [pool, nn.Flatten()]
    features = channels * height * width
    for _ in range(checked_depth(config["depth"])):
        layers += _hidden(features, config["width"], config["dropout"])
        features = config["width"]
    return nn.Sequential(*layers, nn.Linear(features, classes))


def _hidden(features: int, units: int, dropout: float) -> list[nn.Module]:
    """One hidden layer."""
    return [
        nn.Linear(features, units, bias=False),
        nn.BatchNorm1d(units),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
    ]
