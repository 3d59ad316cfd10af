"""Labels -> the train split, the validation split and the train probe: stratified, seeded index arrays.

The test split is not among them: it is a part of its own from the beginning, see `search.data.datasets`.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.errors import UserError


@dataclass(frozen=True)
class Splits:
    """Ascending int64 index arrays into the images of a data set's train part."""

    train: np.ndarray
    val: np.ndarray  # disjoint from `train`
    probe: np.ndarray  # a subset of `train`, as large as `val` or, where that is smaller, all of it


def split(
    labels: np.ndarray,
    train_size: int | None,
    val_size: int | None,
    seed: int,
    copies: Sequence[Sequence[int]] = (),
) -> Splits:
    """Split images with these labels, int64 (n,), so that each split has the class proportions of the whole.

    By default a fifth of the images validates and all others train. Of images that are copies of each other, none
    validates while another one trains. Where no choice of whole pictures fits, a few images fewer validate; the sizes
    that come out give the same splits again.

    Raises UserError where the sizes do not fit the images.
    """
    available, least = len(labels), 2 * len(np.unique(labels))
    for flag, size in (("--train-size", train_size), ("--val-size", val_size)):
        if size is not None and size < least:
            raise UserError(f"{flag} is {size}; with {least // 2} classes it must be at least {least}")
    validating = max(available // 5, least) if val_size is None else val_size
    training = max(available - validating, least) if train_size is None else train_size
    if training + validating > available:
        trains = f"--train-size {train_size}" if train_size else f"{training} images to train on"
        validates = f"--val-size {val_size}" if val_size else f"{validating} images to validate on (a fifth)"
        raise UserError(
            f"{trains} and {validates} need {training + validating} images; "
            f"there are {available} to train and validate on, of {least // 2} classes"
        )
    train, val = _apart(labels, training, validating, seed, copies)
    if len(val) < least or len(np.unique(labels[val])) < least // 2:
        raise UserError(
            f"{validating} images to validate on are too few where copies stay together: {len(val)} of "
            f"{len(np.unique(labels[val]))} classes would; add other images, remove copies, or pass a larger --val-size"
        )
    return _with_probe(train, val, labels, seed)


def split_as_given(
    labels: np.ndarray, first_val: int, train_size: int | None, val_size: int | None, seed: int
) -> Splits:
    """The splits of a data set that has its own: all images from `first_val` on validate. seed: of the probe.

    Raises UserError where the sizes are others.
    """
    train, val = np.arange(first_val), np.arange(first_val, len(labels))
    for flag, size, part in (("--train-size", train_size, train), ("--val-size", val_size, val)):
        if size not in (None, len(part)):
            raise UserError(
                f"{flag} is {size}, and the images are split already: {len(train)} train and {len(val)} validate; "
                f"leave {flag} out"
            )
    return _with_probe(train, val, labels, seed)


def _apart(
    labels: np.ndarray, training: int, validating: int, seed: int, copies: Sequence[Sequence[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Splits of those sizes, or with a few images fewer that validate, where no image validates while a copy trains."""
    train, val = _stratified(np.arange(len(labels)), labels, training, validating, seed)
    train, val = _copies_together(*_with_every_class(train, val, labels), labels, copies)
    picture = _pictures(len(labels), copies)
    if not np.isin(picture[val], picture[train]).any():
        return train, val
    train, val = _dealt(labels, picture, training, validating, seed)
    if len(val) == validating or len(val) < len(np.unique(labels)):
        return train, val
    return _apart(labels, len(train), len(val), seed, copies)  # as those will be split who ask for these sizes


def _with_probe(train: np.ndarray, val: np.ndarray, labels: np.ndarray, seed: int) -> Splits:
    if len(val) >= len(train):
        return Splits(train, val, train)
    several = train[np.bincount(labels[train])[labels[train]] > 1]  # of a class with one image there is no share
    if len(several) <= len(val):
        return Splits(train, val, several)
    probe, _ = _stratified(several, labels, len(val), None, (seed + 1) % 2**32)
    return Splits(train, val, probe)


def _with_every_class(train: np.ndarray, val: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Splits of the same sizes that both have an image of each class, which proportions do not give to the smallest.

    Each has at least two images for a class, and each class at least two. The largest classes make room.
    """
    parts = set(train.tolist()), set(val.tolist())
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1])  # of each class
    for part, other in (parts, parts[::-1]):
        counts = np.bincount(labels[list(part)], minlength=len(members))
        last = [reversed(numbers.tolist()) for numbers in members]
        for missing in [number for number in np.flatnonzero(counts == 0) if len(members[number])]:
            moved = min(members[missing].tolist(), key=lambda number: number in other)  # one that is unused, if any is
            largest = int(counts.argmax())
            in_exchange = next(number for number in last[largest] if number in part)
            counts[largest] -= 1
            part.remove(in_exchange)
            part.add(moved)
            if moved in other:
                other.remove(moved)
                other.add(in_exchange)
    return np.array(sorted(parts[0])), np.array(sorted(parts[1]))


def _copies_together(
    train: np.ndarray, val: np.ndarray, labels: np.ndarray, copies: Sequence[Sequence[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Splits of the same sizes, where an image that validates while a copy of it trains has moved to its copy.

    Another image of its class that has no copies takes its place; where there is none, it stays.
    """
    training, validating = set(train.tolist()), set(val.tolist())
    copied = {number for same in copies for number in same}
    spare = defaultdict[int, deque[int]](deque)  # by class
    for number in train.tolist():
        if number not in copied:
            spare[labels[number]].append(number)
    for same in copies:
        for number in validating.intersection(same) if training.intersection(same) else ():
            if others := spare[labels[number]]:
                other = others.popleft()
                training ^= {number, other}
                validating ^= {number, other}
    return np.array(sorted(training)), np.array(sorted(validating))


def _pictures(count: int, copies: Sequence[Sequence[int]]) -> np.ndarray:
    """Of each image the number of the one that stands for it and its copies, int64 (count,)."""
    picture = np.arange(count)
    for same in copies:
        picture[list(same)] = same[0]
    return picture


def _dealt(
    labels: np.ndarray, picture: np.ndarray, training: int, validating: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Splits of at most those sizes, drawn at random, where a picture validates with all its copies or not at all.

    In each class the one with the most copies never does, so that something is left to train on.
    """
    draw = np.random.default_rng(seed)
    numbers, sizes = np.unique(picture, return_counts=True)
    kept = np.zeros(len(labels), bool)
    order = draw.permutation(len(numbers))
    by_size = order[np.argsort(-sizes[order], kind="stable")]
    kept[numbers[by_size[np.unique(labels[numbers[by_size]], return_index=True)[1]]]] = True
    order = order[np.argsort(kept[numbers[order]], kind="stable")]  # those that are kept come last in their class
    numbers, sizes = numbers[order], sizes[order]
    left, validates = validating, np.zeros(len(labels), bool)
    for place in _in_proportion(labels[numbers], sizes).tolist():
        if sizes[place] <= left and not kept[numbers[place]]:
            validates[numbers[place]] = True
            left -= sizes[place]
    val, others = np.flatnonzero(validates[picture]), draw.permutation(np.flatnonzero(~validates[picture]))
    in_turn = _in_proportion(labels[others], np.ones(len(others), np.int64))
    return np.sort(others[in_turn[:training]]), val


def _in_proportion(labels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """An order in which what comes first has, by size, the class proportions of the whole; one of each class leads.

    Within a class that smallest one leads, and the others keep their order.
    """
    share = np.empty(len(labels))
    by_class = np.argsort(labels, kind="stable")
    for own in np.split(by_class, np.flatnonzero(np.diff(labels[by_class])) + 1):
        share[own] = (np.cumsum(sizes[own]) - sizes[own] / 2) / sizes[own].sum()
        share[own[sizes[own].argmin()]] = 0
    return np.argsort(share, kind="stable")


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
