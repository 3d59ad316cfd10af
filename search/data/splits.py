"""Labels -> the train split, the validation split and the train probe: stratified, seeded index arrays.

The test split is not among them: it is a part of its own from the beginning, see `search.data.datasets`.
"""

from dataclasses import dataclass

import numpy as np

from search.errors import UserError


@dataclass(frozen=True)
class Splits:
    """Ascending int64 index arrays into the images of a data set's train part."""

    train: np.ndarray
    val: np.ndarray  # disjoint from `train`
    probe: np.ndarray  # a subset of `train`, as large as `val` or, where that is smaller, all of it


def split(labels: np.ndarray, train_size: int | None, val_size: int | None, seed: int) -> Splits:
    """Split images with these labels, int64 (n,), so that each split has the class proportions of the whole.

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
    """Two disjoint subsets of `indices` with the class proportions of the whole, in ascending order.

    Of `first` and `second` elements; None for all the rest. Raises UserError where a class is too small for that.
    """
    from sklearn.model_selection import StratifiedShuffleSplit

    if second is None:
        second = len(indices) - first
        if second < len(np.unique(labels)):  # scikit-learn wants an image of each class on both sides
            return indices, indices[:0]
    splitter = StratifiedShuffleSplit(n_splits=1, train_size=first, test_size=second, random_state=seed)
    try:
        in_first, in_second = next(splitter.split(indices, labels[indices]))
    except ValueError as error:
        raise UserError(f"the images cannot be split: {' '.join(str(error).split())}") from error
    return np.sort(indices[in_first]), np.sort(indices[in_second])
