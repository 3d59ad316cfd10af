"""What a chosen configuration is worth on new images: its figures without the luck of having been chosen.

Two kinds of luck make the recorded figures too good. The seed's is left out by measuring trainings with unseen seeds,
which took no part in the choice. That of the validation images is measured by a bootstrap over images of the whole
choice: choose on the images drawn, measure on those left out (bootstrap bias corrected cross-validation, Tsamardinos,
Greasidou and Borboudakis 2018, Machine Learning 107, 1895-1922). No test image is needed.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from search.choice.choose import BAND_Z

RESAMPLES = 400
AT_ONCE = 50  # that are in memory
TAILS = (0.05, 0.95)  # of the interval


@dataclass(frozen=True)
class Evaluated:
    """One configuration on the n validation images; of several trainings the means."""

    losses: np.ndarray  # (n,), in nats
    correct: np.ndarray  # (n,), the share of the trainings that are right
    train_loss: float
    gap_se: float


@dataclass(frozen=True)
class Expected:
    """What to expect of a configuration on new images, after a training with a new seed."""

    loss: float  # mean cross-entropy in nats
    loss_interval: tuple[float, float]  # 90%: over validation images and seeds
    accuracy: float
    gap: float
    seeds: int  # unseen ones that were measured; without any the luck of the seed is still in the figures

    def as_dict(self) -> dict[str, Any]:
        """For best.yaml and the study's attributes."""
        return asdict(self) | {"loss_interval": list(self.loss_interval)}


def expected(
    among: Sequence[Evaluated],
    chosen: int,
    unseen: Sequence[Evaluated],
    seed_std: float | None = None,
    freedom: int = 0,
    *,
    trainings: int = 1,
    seed: int = 0,
) -> Expected:
    """The expected figures of the configuration `chosen` (its place in `among`).

    among: all that might have been chosen, with the figures that they were chosen by. unseen: trainings of the chosen
    one that were not selected on; without any its own figures take their place. seed_std: of a validation loss over
    seeds in nats, by so many degrees of `freedom`; trainings: whose means the figures in `among` are. seed: of the
    bootstrap.
    """
    rng = np.random.default_rng(seed)
    measured = unseen or [among[chosen]]
    own_losses, own_correct = (values.mean(axis=0) for values in _stacked(measured))
    loss_shift, accuracy_shift, spread = _bootstrap(rng, among, chosen, own_losses, seed_std, trainings)
    if unseen and seed_std is not None:
        spread += seed_std / math.sqrt(len(unseen)) * rng.standard_t(max(freedom, 1), len(spread))
    loss = float(own_losses.mean() + loss_shift)
    low, high = np.quantile(spread, TAILS)
    return Expected(
        loss=loss,
        loss_interval=(max(loss + float(low), 0.0), loss + float(high)),
        accuracy=float(np.clip(own_correct.mean() + accuracy_shift, 0.0, 1.0)),
        gap=loss - math.fsum(one.train_loss for one in measured) / len(measured),
        seeds=len(unseen),
    )


def _bootstrap(
    rng: np.random.Generator,
    among: Sequence[Evaluated],
    chosen: int,
    own_losses: np.ndarray,
    seed_std: float | None,
    trainings: int,
) -> tuple[float, float, np.ndarray]:
    """By how much what is chosen on drawn images is worse on those left out than the chosen one is on all of them.

    Returns that of the loss, that of the accuracy, and by how much the mean of `own_losses` differs from resample to
    resample, (resamples,). Where no image is left out, which takes a handful of images, the drawn ones serve.
    """
    losses, correct = _stacked(among)
    images = losses.shape[1]
    left_out, right, spread = (np.empty(RESAMPLES) for _ in range(3))
    for part in np.array_split(np.arange(RESAMPLES), RESAMPLES // AT_ONCE):
        drawn = rng.multinomial(images, np.full(images, 1 / images), len(part))
        weights = np.where((drawn == 0).any(axis=1, keepdims=True), drawn == 0, drawn).astype(np.float64)
        weights /= weights.sum(axis=1, keepdims=True)
        picked = np.arange(len(part)), choose_on(drawn, among, losses, seed_std, trainings)
        left_out[part], right[part] = (weights @ losses.T)[picked], (weights @ correct.T)[picked]
        spread[part] = drawn @ (own_losses - own_losses.mean()) / images
    return float(left_out.mean() - losses[chosen].mean()), float(right.mean() - correct[chosen].mean()), spread


def choose_on(
    drawn: np.ndarray, among: Sequence[Evaluated], losses: np.ndarray, seed_std: float | None, trainings: int
) -> np.ndarray:
    """Which of `among` would have been chosen on each resample, see `search.choice.choose`; shape (resamples,).

    drawn: how often each image was drawn, (resamples, n). losses: (runs, n). The image noise is that of all images.
    """
    train_loss, gap_se = (np.array([getattr(one, name) for one in among]) for name in ("train_loss", "gap_se"))
    images = losses.shape[1]
    means = drawn @ losses.T / images
    best = means.argmin(axis=1)
    centred = losses - losses.mean(axis=1, keepdims=True)
    covariance = centred @ centred.T / max(images - 1, 1)
    variance = np.diag(covariance)
    paired = np.maximum(variance + variance[:, None] - 2 * covariance, 0) / images
    band = BAND_Z * np.sqrt(paired[best] + 2 / trainings * (seed_std or 0.0) ** 2)
    rows = np.arange(len(means))
    within = means - means[rows, best][:, None] <= band
    gaps = np.where(within, np.maximum(means - train_loss, 0.0), np.inf)
    smallest = gaps.argmin(axis=1)
    noise = np.where(np.isfinite(gap_se), gap_se, 0.0)[smallest]
    tied = gaps <= (gaps[rows, smallest] + noise)[:, None]
    return np.where(tied, means, np.inf).argmin(axis=1)


def _stacked(those: Sequence[Evaluated]) -> tuple[np.ndarray, np.ndarray]:
    """Their losses and whether they are right, each of shape (runs, n)."""
    return np.array([one.losses for one in those], np.float64), np.array([one.correct for one in those], np.float64)
