"""Cached images and their splits -> `SearchData`, which is sent to workers -> tensors on a device, for training."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search.balance import UNEVEN, inverse_frequency, ratio
from search.data.cache import CachedImages, names_beside
from search.data.splits import Splits, split, split_as_given

CHUNK_BYTES = 2**24  # of images that are looked at at once


@dataclass(frozen=True)
class SearchData:
    """All that a worker needs to know of the data, small enough to be sent to it."""

    name: str  # of the data set
    images: Path  # a uint8 array (n, c, h, w), mapped into memory by each worker and so shared by all
    labels: np.ndarray  # int64 (n,)
    classes: tuple[str, ...]
    fingerprint: str  # of images and labels
    flip: bool  # whether augmentation may mirror images
    splits: Splits
    mean: tuple[float, ...]  # of each channel over the train split, in units of [0, 1]
    std: tuple[float, ...]  # likewise
    class_weights: np.ndarray | None = None  # float32 (classes,), of mean 1 over the train images; None for 1 each
    uneven: bool = False  # whether the classes of the train split are, see `search.balance`
    content: np.ndarray | None = None  # of the file `images`, for a machine that does not have it

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        channels, height, width = np.load(self.images, mmap_mode="r").shape[1:]
        return channels, height, width

    @property
    def val_labels(self) -> np.ndarray:
        """Labels of the validation split, in its order, int64 (n,)."""
        return self.labels[self.splits.val]

    def weights_of(self, labels: np.ndarray) -> np.ndarray | None:
        """The weights in a loss of images with these labels; None for 1 each."""
        return None if self.class_weights is None else self.class_weights[labels]

    def description(self) -> dict[str, Any]:
        """Name, class names, shape (channels, height, width), split sizes, images of each class in each split."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "shape": list(self.shape),
            "train_size": len(self.splits.train),
            "val_size": len(self.splits.val),
            "train_counts": _counts(self.labels[self.splits.train], self.classes).tolist(),
            "val_counts": _counts(self.val_labels, self.classes).tolist(),
        }

    def names(self, indices: np.ndarray) -> list[str]:
        """The files that those images were read from, as paths below their folder; empty where there are none."""
        known = names_beside(self.images)
        return [known[index] if known else "" for index in indices.tolist()]

    def with_content(self) -> "SearchData":
        """The same for other machines, which do not have the file."""
        return replace(self, content=np.asarray(np.load(self.images, mmap_mode="r")))

    def to(self, device: torch.device) -> "DeviceData":
        """Tensors for training on `device`."""
        # "c": private to a process once written to, which nobody does; torch warns of read-only arrays
        images = np.load(self.images, mmap_mode="c") if self.content is None else self.content
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what was sent is read-only
            pixels = torch.from_numpy(images)
        return DeviceData(
            images=pixels.to(device),
            labels=torch.from_numpy(self.labels).to(device),
            train=torch.from_numpy(self.splits.train).to(device),
            val=torch.from_numpy(self.splits.val).to(device),
            probe=torch.from_numpy(self.splits.probe).to(device),
            mean=torch.tensor(self.mean, device=device).view(1, -1, 1, 1),
            std=torch.tensor(self.std, device=device).view(1, -1, 1, 1),
            classes=len(self.classes),
            flip=self.flip,
            fingerprint=self.fingerprint,
            class_weights=None if self.class_weights is None else torch.from_numpy(self.class_weights).to(device),
            uneven=self.uneven,
        )


@dataclass(frozen=True)
class DeviceData:
    """`SearchData` as tensors on one device."""

    images: torch.Tensor  # uint8 (n, c, h, w)
    labels: torch.Tensor  # int64 (n,)
    train: torch.Tensor  # int64: indices of the train split
    val: torch.Tensor  # int64: indices of the validation split
    probe: torch.Tensor  # int64: indices of the train probe
    mean: torch.Tensor  # float32 (1, c, 1, 1), in units of [0, 1]
    std: torch.Tensor  # float32 (1, c, 1, 1), in units of [0, 1]
    classes: int  # how many
    flip: bool  # whether augmentation may mirror images
    fingerprint: str | None = None  # of images and labels as they are in files; None where they are in none
    class_weights: torch.Tensor | None = None  # float32 (classes,), see `SearchData`
    uneven: bool = False  # likewise

    def pixels(self, indices: torch.Tensor) -> torch.Tensor:
        """Those images as float32 (len(indices), c, h, w) in [0, 1]."""
        return self.images[indices].float().div_(255)

    def normalize(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels in [0, 1] -> zero mean and unit deviation in each channel, by the figures of the train split."""
        return (pixels - self.mean) / self.std


def prepare(
    source: CachedImages,
    *,
    train_size: int | None,
    val_size: int | None,
    seed: int,
    flip: bool,
    balance: bool = False,
) -> SearchData:
    """Split the images of `source`, a train part, unless they come split; measure the channels of the train split.

    balance: weigh the classes by their inverse frequency in the train split.

    Raises UserError where the sizes do not fit the images.
    """
    labels = np.load(source.labels)
    if source.first_val is None:
        splits = split(labels, train_size, val_size, seed, source.copies)
    else:
        splits = split_as_given(labels, source.first_val, train_size, val_size, seed)
    mean, std = _channel_statistics(np.load(source.images, mmap_mode="r"), splits.train)
    counts = _counts(labels[splits.train], source.classes)
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
        class_weights=inverse_frequency(counts) if balance else None,
        uneven=ratio(counts) > UNEVEN,
    )


def held_out(source: CachedImages, data: SearchData) -> SearchData:
    """`data` with all images of `source`, a test part, as its validation split; normalized as before."""
    labels = np.load(source.labels)
    nothing = np.arange(0)
    splits = Splits(train=nothing, val=np.arange(len(labels)), probe=nothing)
    return replace(data, images=source.images, labels=labels, fingerprint=source.fingerprint, splits=splits)


def _counts(labels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Images of each class."""
    return np.bincount(labels, minlength=len(classes))


def _channel_statistics(images: np.ndarray, indices: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel in units of [0, 1], from exact sums, read a chunk at a time."""
    channels, values = images.shape[1], int(np.prod(images.shape[1:]))
    total, squares = np.zeros(channels, np.uint64), np.zeros(channels, np.uint64)
    for chunk in np.array_split(indices, -(-len(indices) * values // CHUNK_BYTES)):
        pixels = images[chunk]
        total += pixels.sum(axis=(0, 2, 3), dtype=np.uint64)
        squares += np.square(pixels, dtype=np.uint16).sum(axis=(0, 2, 3), dtype=np.uint64)
    count = len(indices) * values // channels
    mean = total / count / 255
    deviation = np.sqrt(np.maximum(squares / count / 255**2 - mean**2, 0))
    deviation[deviation < 1e-3] = 1.0  # a channel that never changes
    return tuple(mean.tolist()), tuple(deviation.tolist())
