"""Images -> what a search may see: splits, normalization, tensors on a device.

The test split is not here. It is read by `search.datasets` for `confirm` alone.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search.data.cache import CachedImages
from search.data.splits import Splits, split


@dataclass(frozen=True)
class SearchData:
    """Everything a worker needs to know of the data, small enough to be sent to it.

    images: path of a uint8 array (n, c, h, w), mapped into memory by each worker and so shared by all.
    mean, std: of each channel over the train split, in units of [0, 1].
    """

    name: str
    images: Path
    labels: np.ndarray
    classes: tuple[str, ...]
    fingerprint: str
    flip: bool
    splits: Splits
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        channels, height, width = np.load(self.images, mmap_mode="r").shape[1:]
        return channels, height, width

    def description(self) -> dict[str, Any]:
        """For people: name, class names, shape and sizes."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "shape": list(self.shape),
            "train_size": len(self.splits.train),
            "val_size": len(self.splits.val),
        }

    def to(self, device: torch.device) -> "DeviceData":
        """Tensors for training on `device`."""
        # "c": private to a process once written to, which nobody does; torch warns of read-only arrays
        images = torch.from_numpy(np.load(self.images, mmap_mode="c"))
        return DeviceData(
            images=images.to(device),
            labels=torch.from_numpy(self.labels).to(device),
            train=torch.from_numpy(self.splits.train).to(device),
            val=torch.from_numpy(self.splits.val).to(device),
            probe=torch.from_numpy(self.splits.probe).to(device),
            mean=torch.tensor(self.mean, device=device).view(1, -1, 1, 1),
            std=torch.tensor(self.std, device=device).view(1, -1, 1, 1),
            classes=len(self.classes),
            flip=self.flip,
        )


@dataclass(frozen=True)
class DeviceData:
    """`SearchData` as tensors on one device. images: uint8 (n, c, h, w); labels and indices: int64."""

    images: torch.Tensor
    labels: torch.Tensor
    train: torch.Tensor
    val: torch.Tensor
    probe: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor
    classes: int
    flip: bool

    def pixels(self, indices: torch.Tensor) -> torch.Tensor:
        """Images as float32 in [0, 1]."""
        return self.images[indices].float().div_(255)

    def normalize(self, pixels: torch.Tensor) -> torch.Tensor:
        """Zero mean and unit deviation in each channel, by the figures of the train split."""
        return (pixels - self.mean) / self.std


def prepare(source: CachedImages, *, train_size: int | None, val_size: int | None, seed: int, flip: bool) -> SearchData:
    """Split the development images of `source` and measure the train split's channels.

    Raises UserError where the sizes do not fit the images.
    """
    labels = np.load(source.labels)
    splits = split(labels, train_size, val_size, seed)
    mean, std = _channel_statistics(np.load(source.images, mmap_mode="r"), splits.train)
    return SearchData(
        name=source.name,
        images=source.images,
        labels=labels,
        classes=source.classes,
        fingerprint=source.fingerprint,
        flip=flip,
        splits=splits,
        mean=mean,
        std=std,
    )


def held_out(source: CachedImages, data: SearchData) -> SearchData:
    """All images of `source`, a test part, as the validation split; normalized as `data` is."""
    labels = np.load(source.labels)
    nothing = np.arange(0)
    splits = Splits(train=nothing, val=np.arange(len(labels)), probe=nothing)
    return replace(data, images=source.images, labels=labels, fingerprint=source.fingerprint, splits=splits)


def _channel_statistics(images: np.ndarray, indices: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel in units of [0, 1], read a chunk at a time."""
    count, total, squares = 0, np.zeros(images.shape[1]), np.zeros(images.shape[1])
    for chunk in np.array_split(indices, -(-len(indices) // 4096)):
        pixels = images[chunk].astype(np.float64) / 255
        count += pixels.size // pixels.shape[1]
        total += pixels.sum(axis=(0, 2, 3))
        squares += (pixels**2).sum(axis=(0, 2, 3))
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    deviation[deviation < 1e-3] = 1.0  # a channel that never changes
    return tuple(mean.tolist()), tuple(deviation.tolist())
