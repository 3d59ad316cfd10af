"""Networks of a space, built as every part of a search builds them."""

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Build = Callable[..., "torch.nn.Module"]  # of a space: (config, *, channels, image_size, classes) -> network


def build_network(
    build: Build, config: Mapping[str, Any], shape: tuple[int, int, int], classes: int
) -> "torch.nn.Module":
    """The network of a configuration for images of `shape`, (channels, height, width).

    `build` gets a copy of `config`, for it may take entries out of it.
    """
    channels, height, width = shape
    return build(copy.deepcopy(dict(config)), channels=channels, image_size=(height, width), classes=classes)
