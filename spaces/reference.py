"""Fixed networks that introductions to overfitting show, to be measured beside what a search finds.

Three are for grey 28x28 images (Fashion-MNIST), the others for colour 32x32 images (CIFAR-10 and CIFAR-100). As a space
it has one parameter, the network, and its start names all of them. None can be drawn from the spaces `cnn` or `mlp`:
their stages and layers differ in width, and some have one convolution or a hidden layer before the classifier.

Where the texts are silent: batches of 32, Adam with a learning rate of 1e-3 and Glorot's initial weights, as Keras has
them; convolutions of 3x3; batch norm after ReLU. `cifar10_simple` has the 323,146 parameters that its text names, by a
dense layer of 32. `cifar10_large` shares that and the 2x2 kernels: it has 1,578,282 where 1,579,178 are named.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from spaces._shapes import averaged

LARGEST_INPUT = 32  # side to which larger images are averaged down: a dense layer sees all that is left


class Trial(Protocol):
    """The part of an Optuna trial that is needed here."""

    def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> str: ...


@dataclass(frozen=True)
class Stage:
    """Convolutions of one width that keep the resolution, then max pooling by two, then dropout."""

    width: int
    convolutions: int = 2
    kernel_size: int = 3
    dropout: float = 0.0


@dataclass(frozen=True)
class Network:
    """Stages, hidden dense layers with dropout after each, and what training reads.

    Training decouples weight decay, so none is Adam. `augmentation` is the strength that comes closest to the text's.
    """

    stages: tuple[Stage, ...] = ()
    dense: tuple[int, ...] = ()
    dropout: float = 0.0  # after each dense layer
    batch_norm: bool = False
    batch_size: int = 32
    learning_rate: float = 1e-3
    augmentation: float = 0.0


SIMPLE = (Stage(32, dropout=0.4), Stage(64, kernel_size=2, dropout=0.4), Stage(128, dropout=0.5))
NETWORKS = {
    "fashion_plain": Network((Stage(32, 1),)),
    "fashion_dropout": Network((Stage(32, 1, dropout=0.25),), (128,), 0.5),
    "fashion_augmented": Network((Stage(32, 1),), augmentation=0.67),
    "cifar10_mlp": Network((), (75, 50, 50), 0.1, batch_norm=True, learning_rate=1e-4),
    "cifar10_large": Network(
        (Stage(64), Stage(128, kernel_size=2), Stage(256), Stage(128), Stage(64)), (32,), batch_size=64
    ),
    "cifar10_simple": Network(SIMPLE, (32,), 0.3, batch_norm=True),
    "cifar100_mlp": Network((), (256, 128), 0.1, batch_norm=True, learning_rate=1e-4),
    "cifar100_mlp_wide": Network((), (512, 256, 128), 0.1, batch_norm=True, learning_rate=1e-4),
    "cifar100_large": Network(tuple(map(Stage, (32, 64, 128, 128, 64))), (256, 128), batch_norm=True),
    "cifar100_simple": Network(SIMPLE, (256,), 0.3, batch_norm=True),
    "cifar100_augmented": Network(
        (Stage(64, 2, dropout=0.4), Stage(128, 3, dropout=0.4), Stage(256, 3, dropout=0.4)),
        (512,),
        0.4,
        batch_size=128,
        augmentation=1.0,
    ),
}


def config(name: str) -> dict[str, Any]:
    """The configuration of one of `NETWORKS`, with all that training reads."""
    network = NETWORKS[name]
    return {
        "network": name,
        "weight_decay": 0.0,
        "batch_size": network.batch_size,
        "augmentation": network.augmentation,
        "learning_rate": network.learning_rate,
    }


def suggest(trial: Trial) -> dict[str, Any]:
    """One of the networks."""
    return config(trial.suggest_categorical("network", tuple(NETWORKS)))


def start() -> list[dict[str, Any]]:
    """All of them, in the order of `NETWORKS`."""
    return [{"network": name} for name in NETWORKS]


def build(config: Mapping[str, Any], *, channels: int, image_size: tuple[int, int], classes: int) -> nn.Module:
    """The network that `config` names: images (n, channels, *image_size) -> logits (n, classes).

    Its stages stop to pool where the shorter side is 1. Its other entries concern training alone.
    """
    network = NETWORKS[config["network"]]
    pool, height, width = averaged(*image_size, LARGEST_INPUT)
    layers: list[nn.Module] = [pool]
    for stage in network.stages:
        for _ in range(stage.convolutions):
            layers += [*_convolution(channels, stage.width, stage.kernel_size), nn.ReLU(inplace=True)]
            layers += [nn.BatchNorm2d(stage.width)] if network.batch_norm else []
            channels = stage.width
        if min(height, width) > 1:
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        layers.append(nn.Dropout(stage.dropout))
    layers.append(nn.Flatten())
    features = channels * height * width
    for units in network.dense:
        layers += [nn.Linear(features, units), nn.ReLU(inplace=True)]
        layers += [nn.BatchNorm1d(units)] if network.batch_norm else []
        layers.append(nn.Dropout(network.dropout))
        features = units
    return nn.Sequential(*layers, nn.Linear(features, classes)).apply(_initialize)


def _convolution(channels: int, width: int, kernel_size: int) -> list[nn.Module]:
    """It keeps the resolution. For an even kernel maps are padded once more on the right and below, as Keras does."""
    uneven = [] if kernel_size % 2 else [nn.ZeroPad2d((0, 1, 0, 1))]
    return [*uneven, nn.Conv2d(channels, width, kernel_size, padding=(kernel_size - 1) // 2)]


def _initialize(layer: nn.Module) -> None:
    """Glorot's uniform weights and no bias: torch's own, smaller ones would hold up ten layers without batch norm."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
