"""The generalization gap, measured cleanly.

Both losses of an epoch come from one function, `evaluate`: the same weights, eval mode, images not
augmented, no label smoothing. Only so is their difference the gap, and not the strength of a regularizer.
"""

import math
from dataclasses import dataclass, fields

import numpy as np

History = dict[str, list[float]]  # one list per curve, one entry per epoch
Losses = float | np.ndarray  # per-image losses of shape (n,), or their mean as a plain float


@dataclass(frozen=True)
class PerImage:
    """What a network does on each of n images.

    losses: float32 array of shape (n,), cross-entropy in nats.
    correct: bool array of shape (n,).
    """

    losses: np.ndarray
    correct: np.ndarray


@dataclass(frozen=True)
class Measurement:
    """One epoch: mean losses (nats), accuracies in [0, 1] and standard errors, on train probe and validation."""

    train_loss: float
    val_loss: float
    train_accuracy: float
    val_accuracy: float
    val_loss_se: float
    gap_se: float

    @property
    def gap(self) -> float:
        """`val_loss - train_loss`, signed."""
        return self.val_loss - self.train_loss

    @property
    def accuracy_gap(self) -> float:
        """Train probe accuracy minus validation accuracy."""
        return self.train_accuracy - self.val_accuracy

    def as_dict(self) -> dict[str, float]:
        """All figures, the derived ones included."""
        stored = {field.name: getattr(self, field.name) for field in fields(self)}
        return stored | {"gap": self.gap, "accuracy_gap": self.accuracy_gap}


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
    )


def standard_error(values: np.ndarray) -> float:
    """Standard error of the mean of `values`, shape (n,); infinite for fewer than two values."""
    if len(values) < 2:
        return math.inf
    return float(np.std(values, ddof=1, dtype=np.float64)) / math.sqrt(len(values))


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


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values, dtype=np.float64))
