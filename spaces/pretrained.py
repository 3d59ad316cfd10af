"""Networks that others have trained on ImageNet, with a new classifier: torchvision's, with its published weights.

Searched is which of them, how many of its stages are trained, and how. A stage that is not trained stays as it was
published, its batch norm included. Where none is trained, images are not augmented either: then what the network makes
of each image is computed once, and only the classifier is trained.

Images of one channel are repeated to three, and what the study normalized is normalized as the published weights want
it. Small images are enlarged: these networks halve the resolution five times. torchvision takes seconds to import, so
that is done where it is needed.
"""

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import nn

PUBLISHED, NONE = "published", "none"
WEIGHTS_FILE = "pretrained.pt"  # in a configuration: that file beside best.yaml
SMALLEST_SIDE = 96  # pixels: smaller images are enlarged to it, and maps are 3x3 in the end
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which all four were trained with
NAMES = {"resnet18": "ResNet18", "mobilenet_v3_small": "MobileNet_V3_Small", "efficientnet_b0": "EfficientNet_B0",
         "convnext_tiny": "ConvNeXt_Tiny"}  # fmt: skip
STAGES = {  # the layers of each of the four stages, from the image on: before each the resolution is halved
    "resnet18": (("conv1", "bn1", "layer1"), ("layer2",), ("layer3",), ("layer4",)),
    "mobilenet_v3_small": (
        ("features.0", "features.1"),
        ("features.2", "features.3"),
        tuple(f"features.{number}" for number in range(4, 9)),
        (*(f"features.{number}" for number in range(9, 13)), "classifier"),
    ),
    "efficientnet_b0": (
        ("features.0", "features.1", "features.2"),
        ("features.3",),
        ("features.4", "features.5"),
        ("features.6", "features.7", "features.8"),
    ),
    "convnext_tiny": (
        ("features.0", "features.1"),
        ("features.2", "features.3"),
        ("features.4", "features.5"),
        ("features.6", "features.7", "classifier"),
    ),
}
MOST_STAGES = 4


class Trial(Protocol):
    """The part of an Optuna trial that is needed here."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...
    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...
    def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> str: ...


@dataclass(frozen=True)
class Ranges:
    """Lowest and highest value of each parameter, both included. A study may narrow them."""

    stages: tuple[int, int] = (0, MOST_STAGES)  # that are trained, counted from the classifier
    backbone_rate: tuple[float, float] = (0.01, 1.0)  # learning rate of these stages, share of the classifier's; log
    dropout: tuple[float, float] = (0.0, 0.5)  # before the classifier
    weight_decay: tuple[float, float] = (1e-2, 3.0)  # AdamW's; log scale
    batch_size: tuple[int, int] = (32, 256)  # log scale
    augmentation: tuple[float, float] = (0.0, 1.0)
    learning_rate: tuple[float, float] = (3e-4, 1e-2)  # of the classifier; log scale


def suggest(trial: Trial, ranges: Ranges | None = None, weights: str = PUBLISHED) -> dict[str, Any]:
    """Draw one configuration from `ranges`.

    weights: to begin with: `published`; `none`, where every stage is trained, and at the full learning rate; or a file
    of the published weights of one backbone, which is the backbone then. Raises ValueError where such a file is none.
    """
    ranges = ranges or Ranges()
    names = tuple(NAMES) if weights in (PUBLISHED, NONE) else (backbone_of(weights),)
    config: dict[str, Any] = {
        "backbone": trial.suggest_categorical("backbone", names),
        "weights": weights if weights in (PUBLISHED, NONE) else WEIGHTS_FILE,
        "stages": MOST_STAGES if weights == NONE else trial.suggest_int("stages", *ranges.stages),
        "dropout": trial.suggest_float("dropout", *ranges.dropout),
        "weight_decay": trial.suggest_float("weight_decay", *ranges.weight_decay, log=True),
        "batch_size": trial.suggest_int("batch_size", *ranges.batch_size, log=True),
        "learning_rate": trial.suggest_float("learning_rate", *ranges.learning_rate, log=True),
    }
    if not config["stages"]:
        return config | {"augmentation": 0.0}
    if weights != NONE:
        config["backbone_rate"] = trial.suggest_float("backbone_rate", *ranges.backbone_rate, log=True)
    return config | {"augmentation": trial.suggest_float("augmentation", *ranges.augmentation)}


def start() -> list[dict[str, Any]]:
    """What a search tries first: the classifier alone, which takes no time; then two stages of the same network."""
    common = {"backbone": "resnet18", "dropout": 0.1, "weight_decay": 0.05, "batch_size": 64, "learning_rate": 1e-3}
    return [
        common | {"stages": 0},
        common | {"stages": 2, "backbone_rate": 0.1, "augmentation": 0.2},
    ]


def fetch(weights: str = PUBLISHED) -> None:
    """Have all weights on this machine that a search with `weights` may begin with.

    Raises OSError where they cannot be downloaded, ValueError where a file of weights is none.
    """
    if weights == PUBLISHED:
        for name in NAMES:
            _published(name, progress=True)
    elif weights != NONE:
        backbone_of(weights)


def build(config: Mapping[str, Any], *, channels: int, image_size: tuple[int, int], classes: int) -> "Network":
    """The network of `config`: images (n, channels, *image_size) -> logits (n, classes).

    Its weights are fresh ones; `load_pretrained` loads those that `weights` names. config needs `backbone`, `weights`,
    `stages` and `dropout`; `backbone_rate` is 1 where it is missing. Its other entries concern training alone.
    """
    body = Body(config["backbone"], channels, image_size)
    return Network(body, classes, config["stages"], config["dropout"], config.get("backbone_rate", 1.0),
                   config["weights"])  # fmt: skip


class Body(nn.Module):
    """Images (n, channels, *image_size), normalized by `mean` and `std` -> features (n, width)."""

    mean: torch.Tensor  # (1, channels, 1, 1), of the images, in units of [0, 1]
    std: torch.Tensor  # likewise
    published_mean: torch.Tensor  # (1, 3, 1, 1), of those that the weights were trained with
    published_std: torch.Tensor

    def __init__(self, name: str, channels: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"images have {channels} channels; the published networks take 1 or 3")
        self.name = name
        self.layers, self.width = _without_classifier(name)
        self._size = _enlarged(image_size)
        for key, value in (("mean", (0.0,) * channels), ("std", (1.0,) * channels)):
            self.register_buffer(key, torch.tensor(value).view(1, -1, 1, 1))
        for key, value in (("published_mean", MEAN), ("published_std", STD)):
            self.register_buffer(key, torch.tensor(value).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Also repeats one channel to three, and enlarges small images."""
        pixels = images * self.std + self.mean
        images = (pixels - self.published_mean) / self.published_std
        if images.shape[2:] != self._size:
            images = F.interpolate(images, size=self._size, mode="bilinear", align_corners=False)
        return self.layers(images)


class Network(nn.Module):
    """A published network with a classifier of its own; it offers what `search.training.pretrained` describes."""

    def __init__(
        self, body: Body, classes: int, stages: int, dropout: float, backbone_rate: float, weights: str
    ) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(body.width, classes))
        self._stages, self._rate, self._weights = stages, backbone_rate, weights
        if not 0 <= stages <= MOST_STAGES:
            raise ValueError(f"stages is {stages}; it must be from 0 to {MOST_STAGES}")
        for part in self._frozen():
            part.requires_grad_(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(n, channels, *image_size) -> logits (n, classes)."""
        return self.head(self.body(images))

    def train(self, mode: bool = True) -> "Network":
        """What is not trained stays in eval mode: its batch norm and its random depth too."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self

    def load_pretrained(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Begin with the weights that the configuration names, for images normalized by `mean` and `std`.

        Raises OSError where they cannot be downloaded or read, ValueError where they are none of this network.
        """
        self.body.mean.copy_(mean)
        self.body.std.copy_(std)
        if self._weights != NONE:
            name = self.body.name
            weights = _published(name) if self._weights == PUBLISHED else _read(self._weights)
            _load(self.body.layers, name, weights)

    def learning_rate_share(self, name: str) -> float:
        """Of the parameter of that name, as a share of the learning rate."""
        return self._rate if name.startswith("body.") else 1.0

    def frozen_body(self) -> nn.Module | None:
        """What comes before `head`, where nothing of it is trained."""
        return None if self._stages else self.body

    def _frozen(self) -> list[nn.Module]:
        layers = self.body.layers
        stages = STAGES[self.body.name][: MOST_STAGES - self._stages]
        return [layers.get_submodule(name) for stage in stages for name in stage]


def backbone_of(file: str) -> str:
    """The network that the weights in a file belong to. Raises OSError or ValueError where it is none of them."""
    return _backbone_of(file, os.stat(file).st_mtime_ns)


@functools.cache
def _backbone_of(file: str, changed: int) -> str:
    """changed: when the file was."""
    weights = _read(file)
    for name in NAMES:
        with torch.device("meta"):
            layers, _ = _without_classifier(name)
        shapes = {key: value.shape for key, value in _of_body(name, weights).items() if value.ndim}
        if shapes == {key: value.shape for key, value in layers.state_dict().items() if value.ndim}:
            return name
    raise ValueError(f"{file} holds the weights of none of {', '.join(NAMES)}; take a file that torchvision publishes")


def _without_classifier(name: str) -> tuple[nn.Module, int]:
    """torchvision's network up to what its last layer sees, without dropout, and how many features that are."""
    from torchvision.models import get_model

    layers = get_model(name)
    last = layers.get_submodule(_last(name))
    assert isinstance(last, nn.Linear)
    layers.set_submodule(_last(name), nn.Identity())
    for key, layer in list(layers.named_modules()):
        if isinstance(layer, nn.Dropout):
            layers.set_submodule(key, nn.Identity())
    return layers, last.in_features


def _last(name: str) -> str:
    """Where the published network has its classifier."""
    return {"resnet18": "fc", "mobilenet_v3_small": "classifier.3", "efficientnet_b0": "classifier.1"}.get(
        name, "classifier.2"
    )


def _enlarged(image_size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) scaled up until the shorter side has `SMALLEST_SIDE` pixels."""
    scale = max(1.0, SMALLEST_SIDE / min(image_size))
    height, width = image_size
    return round(height * scale), round(width * scale)


def _of_body(name: str, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Published weights without those of the classifier."""
    return {key: value for key, value in weights.items() if not key.startswith(f"{_last(name)}.")}


def _load(layers: nn.Module, name: str, weights: Mapping[str, torch.Tensor]) -> None:
    """Raises ValueError where they do not fit."""
    try:
        layers.load_state_dict(_of_body(name, weights))
    except RuntimeError as error:
        raise ValueError(f"these weights do not fit {name}: {str(error).splitlines()[-1].strip()}") from error


def _published(name: str, *, progress: bool = False) -> Mapping[str, torch.Tensor]:
    """The published weights, downloaded where torch does not have them. Raises OSError where that fails."""
    from torchvision.models import get_weight

    published = get_weight(f"{NAMES[name]}_Weights.IMAGENET1K_V1")
    try:
        return published.get_state_dict(progress=progress, check_hash=True, map_location="cpu", weights_only=True)
    except Exception as error:  # of the network, the disk, or a damaged file
        place = os.path.join(torch.hub.get_dir(), "checkpoints")
        raise OSError(
            f"cannot download the weights of {name} ({error}); put the file {published.url} into {place}, or take "
            f"--weights FILE or --weights none"
        ) from error


def _read(file: str) -> Mapping[str, torch.Tensor]:
    """A file of weights by name. Raises OSError or ValueError."""
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise OSError(f"cannot read the weights {file}: {error.strerror}; name a file that is there") from error
    except Exception as error:  # garbage raises nearly anything
        raise ValueError(f"{file} holds no weights; take a file that torchvision publishes") from error
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise ValueError(f"{file} holds no weights by name; take a file that torchvision publishes")
    return weights
