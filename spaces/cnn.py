"""Plain convolutional networks: convolution, pooling while the image is large enough, batch norm, ReLU, dropout.

`width` is the number of channels of the first convolution; they double at each pooling, up to four times that.
The first convolution of images beyond 64 pixels has strides, without which most of the time would go there.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn

from spaces._ranges import Ranges, start, suggest
from spaces._shapes import averaged, checked_depth, stem_stride

__all__ = ["Ranges", "build", "start", "suggest"]

SMALLEST_POOLED = 8  # images with a shorter side are not pooled any more
LARGEST_HEAD = 4  # the classifier sees feature maps averaged down to at most this side


def build(config: Mapping[str, Any], *, channels: int, image_size: tuple[int, int], classes: int) -> nn.Module:
    """The network of `config`: images (n, channels, *image_size) -> logits (n, classes).

    config needs `depth`, `width`, `kernel_size` and `dropout`; its other entries concern training alone.
    """
    stride = stem_stride(image_size)
    height, width = (-(-side // stride) for side in image_size)
    layers: list[nn.Module] = []
    filters = config["width"]
    for _ in range(checked_depth(config["depth"])):
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
    """One convolution and what follows it. Pooling comes before batch norm and ReLU, for a quarter of their work."""
    return [
        nn.Conv2d(channels, filters, kernel_size, stride, padding=kernel_size // 2, bias=False),
        *([nn.MaxPool2d(2)] if pooled else []),
        nn.BatchNorm2d(filters),
        nn.ReLU(inplace=True),
        *([nn.Dropout2d(dropout)] if pooled else []),
    ]
