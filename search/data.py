"""Images -> what a search may see: splits, normalization, tensors on a device.

The test split is not here. It is read by `search.datasets` for `confirm` alone.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search.datasets import CachedImages
from search.errors import UserError


@dataclass(frozen=True)
class Splits:
    """Disjoint, stratified index arrays into the development images; `probe` is a subset of `train`."""

    train: np.ndarray
    val: np.ndarray
    probe: np.ndarray


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


def split(labels: np.ndarray, train_size: int | None, val_size: int | None, seed: int) -> Splits:
    """Stratified train and validation splits, and a train probe as large as the validation split.

    By default a fifth of the images validates and all others train.

    Raises UserError where the sizes do not fit the images.
    """
    available, least = len(labels), 2 * len(np.unique(labels))
    if val_size is None:
        val_size = available // 5
    if train_size is None:
        train_size = max(available - val_size, least)
    for flag, size in (("--train-size", train_size), ("--val-size", val_size)):
        if size < least:
            raise UserError(f"{flag} is {size}; with {least // 2} classes it must be at least {least}")
    if train_size + val_size > available:
        raise UserError(
            f"--train-size {train_size} and --val-size {val_size} need {train_size + val_size} images; "
            f"there are {available} to train and validate on"
        )
    train, val = _stratified(np.arange(available), labels, train_size, val_size, seed)
    if val_size >= train_size:
        return Splits(train, val, train)
    probe, _ = _stratified(train, labels, val_size, None, seed + 1)
    return Splits(train, val, probe)


def _stratified(
    indices: np.ndarray, labels: np.ndarray, first: int, second: int | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint subsets of `indices` with the class proportions of the whole, in ascending order."""
    from sklearn.model_selection import StratifiedShuffleSplit

    rest = len(indices) - first
    if second is None and rest < len(np.unique(labels)):  # scikit-learn wants an image of each class on both sides
        return indices, indices[:0]
    splitter = StratifiedShuffleSplit(n_splits=1, train_size=first, test_size=second or rest, random_state=seed)
    try:
        a, b = next(splitter.split(indices, labels[indices]))
    except ValueError as error:
        raise UserError(f"the images cannot be split: {' '.join(str(error).split())}") from error
    return np.sort(indices[a]), np.sort(indices[b])


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
