"""The generalization gap, measured cleanly: the figures of an epoch and their standard errors.

Both losses of an epoch come from one function, `search.training.evaluate.evaluate`: the same weights, eval mode,
images not augmented, no label smoothing. Only so is their difference the gap, and not the strength of a regularizer.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

History = dict[str, list[float]]  # the curves of a run: a list for each figure, an entry for each epoch
Losses = float | np.ndarray  # per-image losses of shape (n,), or their mean as a plain float


@dataclass(frozen=True)
class PerImage:
    """What a network does on each of n images."""

    losses: np.ndarray  # float32 (n,): cross-entropy in nats; of classes that weigh alike see `balance.reweighted`
    correct: np.ndarray  # bool (n,)
    predicted: np.ndarray  # int (n,): the class that it takes the image for
    balanced_accuracy: float | None = None  # mean recall of the classes, where these are uneven


@dataclass(frozen=True)
class Measurement:
    """One epoch, on the train probe and on the validation split."""

    train_loss: float  # mean cross-entropy in nats
    val_loss: float
    train_accuracy: float  # in [0, 1]
    val_accuracy: float
    val_loss_se: float  # standard error over images
    gap_se: float
    val_balanced_accuracy: float | None = None  # where the classes are uneven

    @classmethod
    def at(cls, history: Mapping[str, Sequence[float]], epoch: int) -> "Measurement":
        """The measurement of one epoch (from 0) of a run."""
        return cls(**{field.name: history[field.name][epoch] for field in fields(cls) if field.name in history})

    @property
    def gap(self) -> float:
        """`val_loss - train_loss`, signed."""
        return self.val_loss - self.train_loss

    @property
    def accuracy_gap(self) -> float:
        """Train probe accuracy minus validation accuracy."""
        return self.train_accuracy - self.val_accuracy

    def as_dict(self) -> dict[str, float]:
        """All figures that there are, the derived ones included."""
        stored = {field.name: getattr(self, field.name) for field in fields(self)}
        known = {name: value for name, value in stored.items() if value is not None}
        return known | {"gap": self.gap, "accuracy_gap": self.accuracy_gap}


def measure(train: PerImage, val: PerImage) -> Measurement:
    """Means and standard errors of one epoch.

    The probe and the validation split are independent samples, so the standard error of the gap is
    sqrt(var_train / n_probe + var_val / n_val), over per-image losses.
    """
    return Measurement(
        train_loss=_mean(train.losses),
        val_loss=_mean(val.losses),
        train_accuracy=_mean(train.correct),
        val_accuracy=_mean(val.correct),
        val_loss_se=standard_error(val.losses),
        gap_se=math.hypot(standard_error(train.losses), standard_error(val.losses)),
        val_balanced_accuracy=val.balanced_accuracy,
    )


def standard_error(values: np.ndarray) -> float:
    """Standard error of the mean of `values`, shape (n,); infinite for fewer than two values."""
    if len(values) < 2:
        return math.inf
    return float(np.std(values, ddof=1, dtype=np.float64)) / math.sqrt(len(values))


def share_error(share: float, count: float) -> float:
    """Standard error of the share of `count` images that are right, with two hits and two misses added.

    So 20 of 20 have an error too (Agresti and Coull, "Approximate is better than 'exact'", 1998).
    """
    added = (share * count + 2) / (count + 4)
    return math.sqrt(added * (1 - added) / (count + 4))


def over_seeds(*parts: np.ndarray) -> tuple[float, float | None, float | None]:
    """Mean over k seeds of the sum of the parts' means, its standard error, and s of that error; None for one seed.

    parts: shape (k, n), each over images of its own: `over_seeds(test, -train)` is a gap. The error is
    sqrt(s^2 + i^2 + ...): s is that of the mean over seeds, each i that of a part's images, whose values are means over
    seeds. What seeds and images share counts in both, so it errs to the large side a little.
    """
    of_seeds = np.sum([part.mean(axis=1, dtype=np.float64) for part in parts], axis=0)
    if len(of_seeds) < 2:
        return float(of_seeds.mean()), None, None
    seeds = standard_error(of_seeds)
    images = [standard_error(part.mean(axis=0, dtype=np.float64)) for part in parts]
    return float(of_seeds.mean()), math.hypot(seeds, *images), seeds


def paired_difference(now: np.ndarray, before: np.ndarray) -> tuple[float, float]:
    """Mean of `now - before` over the same images, and its standard error.

    Pairing removes what makes an image easy or hard for every network, which is most of the variance.
    """
    with np.errstate(invalid="ignore"):  # infinite losses
        difference = np.asarray(now, dtype=np.float64) - np.asarray(before, dtype=np.float64)
        return float(difference.mean()), standard_error(difference)


def paired_z(now: Losses, before: Losses) -> float:
    """`paired_difference` in units of its standard error; 0 where nothing differs, infinite where all differ alike.

    NaN where it cannot be measured: plain floats, shapes that differ, fewer than two images, a loss that is not finite.
    """
    now, before = np.asarray(now, dtype=np.float64), np.asarray(before, dtype=np.float64)
    if now.ndim == 0 or now.shape != before.shape or len(now) < 2:
        return math.nan
    mean, error = paired_difference(now, before)
    if mean == 0:
        return 0.0
    return math.copysign(math.inf, mean) if error == 0 else mean / error


def recalls(labels: np.ndarray, correct: np.ndarray, classes: int) -> np.ndarray:
    """The share of the images of each class that are right, shape (classes,); NaN for a class without images.

    labels: int64 (n,). correct: bool (n,).
    """
    counts = np.bincount(labels, minlength=classes)
    right = np.bincount(labels, weights=correct, minlength=classes)
    return np.divide(right, counts, out=np.full(classes, np.nan), where=counts > 0)


def mean_recall(labels: np.ndarray, correct: np.ndarray) -> float:
    """The balanced accuracy: the mean of the `recalls`, of the classes that have images.

    At most 1, which the mean of weighed values is not: of sums of numbers up to 1 none is rounded above their count.
    """
    return float(np.nanmean(recalls(labels, correct, int(labels.max()) + 1)))


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values, dtype=np.float64))
