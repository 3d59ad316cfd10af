"""Residual networks with activation before convolution (He et al. 2016, "Identity Mappings in Deep Residual Networks").

A strided stem brings large images down, then basic blocks in up to three stages, each at half the resolution
and twice the width of the one before.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from spaces._ranges import Ranges, start, suggest
from spaces._shapes import averaged, checked_depth, stem_stride

__all__ = ["Ranges", "build", "start", "suggest"]

SMALLEST_HALVED = 8  # maps with a shorter side are not halved any more
STAGES = 3
LARGEST_HEAD = 4  # the classifier sees feature maps averaged down to at most this side


def build(config: Mapping[str, Any], *, channels: int, image_size: tuple[int, int], classes: int) -> nn.Module:
    """The network of `config`: images (n, channels, *image_size) -> logits (n, classes).

    config needs `depth`, `width`, `kernel_size` and `dropout`; its other entries concern training alone.
    """
    depth, width, kernel_size = checked_depth(config["depth"]), config["width"], config["kernel_size"]
    stride = stem_stride(image_size)
    layers: list[nn.Module] = [_convolution(channels, width, max(kernel_size, 2 * stride - 1), stride)]
    rows, columns = (-(-side // stride) for side in image_size)
    filters = width
    for number in range(depth):
        stage = number * min(depth, STAGES) // depth  # 0, 0, 1, 2 for four blocks
        stride = 2 if filters < width * 2**stage and min(rows, columns) >= SMALLEST_HALVED else 1
        layers.append(Block(filters, width * 2**stage, kernel_size, stride, config["dropout"]))
        filters, rows, columns = width * 2**stage, -(-rows // stride), -(-columns // stride)
    pool, rows, columns = averaged(rows, columns, LARGEST_HEAD)
    return nn.Sequential(
        *layers,
        *_activation(filters),
        pool,
        nn.Flatten(),
        nn.Dropout(config["dropout"]),
        nn.Linear(filters * rows * columns, classes),
    )


class Block(nn.Module):
    """Two convolutions beside a shortcut, each after batch norm and ReLU; dropout between them.

    Where the number of channels or the resolution changes, the shortcut is a convolution of size 1.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.activation = nn.Sequential(*_activation(inputs))
        self.residual = nn.Sequential(
            _convolution(inputs, outputs, kernel_size, stride),
            *_activation(outputs),
            nn.Dropout2d(dropout),
            _convolution(outputs, outputs, kernel_size),
        )
        self.shortcut = _convolution(inputs, outputs, 1, stride) if (inputs, stride) != (outputs, 1) else None

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(n, inputs, h, w) -> (n, outputs, h / stride, w / stride), rounded up."""
        activated = self.activation(maps)
        shortcut = maps if self.shortcut is None else self.shortcut(activated)
        return shortcut + self.residual(activated)


def _activation(filters: int) -> list[nn.Module]:
    """Batch norm and ReLU, before a convolution."""
    return [nn.BatchNorm2d(filters), nn.ReLU(inplace=True)]


def _convolution(channels: int, filters: int, kernel_size: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the resolution, but for its stride."""
    return nn.Conv2d(channels, filters, kernel_size, stride, padding=kernel_size // 2, bias=False)
