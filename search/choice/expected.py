"""What a chosen configuration is worth on new images: its figures without the luck of having been chosen.

Two kinds of luck make the recorded figures too good. The seed's is left out by measuring trainings with unseen seeds,
which took no part in the choice. That of the validation images is measured by a bootstrap over images of the whole
choice: choose on the images drawn, measure on those left out (bootstrap bias corrected cross-validation, Tsamardinos,
Greasidou and Borboudakis 2018, Machine Learning 107, 1895-1922). No test image is needed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from search.balance import counted_alike
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
    balanced_accuracy: float | None = None  # where the classes are uneven

    def as_dict(self) -> dict[str, Any]:
        """For best.yaml and the study's attributes; what is not known is left out."""
        known = {name: value for name, value in asdict(self).items() if value is not None}
        return known | {"loss_interval": list(self.loss_interval)}


def expected(
    among: Sequence[Evaluated],
    chosen: int,
    unseen: Sequence[Evaluated],
    seed_std: float | None = None,
    freedom: int = 0,
    *,
    trainings: int = 1,
    seed: int = 0,
    labels: np.ndarray | None = None,
    beat: Callable[[], None] = lambda: None,
) -> Expected:
    """The expected figures of the configuration `chosen` (its place in `among`).

    among: all that might have been chosen, with the figures that they were chosen by. unseen: trainings of the chosen
    one that were not selected on; without any its own figures take their place. seed_std: of a validation loss over
    seeds in nats, by so many degrees of `freedom`; trainings: whose means the figures in `among` are. seed: of the
    bootstrap. labels: of the images, (n,), where the classes are uneven. beat: called again and again meanwhile.
    """
    rng = np.random.default_rng(seed)
    measured = unseen or [among[chosen]]
    own, recorded = _figures(measured, labels), _figures(among, labels)
    own_losses = own[0].mean(axis=0)
    shifts, spread = _bootstrap(rng, among, recorded, None if unseen else chosen, own_losses, seed_std, trainings, beat)
    if seed_std is not None:
        spread += seed_std / math.sqrt(len(unseen) or trainings) * rng.standard_t(max(freedom, 1), len(spread))
    loss = max(float(own_losses.mean() + shifts[0]), 0.0)
    accuracies = [float(np.clip(of.mean() + shift, 0, 1)) for of, shift in zip(own[1:], shifts[1:], strict=True)]
    low, high = np.quantile(spread, TAILS)
    return Expected(
        loss=loss,
        loss_interval=(max(loss + float(low), 0.0), loss + float(high)),
        accuracy=accuracies[0],
        gap=loss - math.fsum(one.train_loss for one in measured) / len(measured),
        seeds=len(unseen),
        balanced_accuracy=None if labels is None else accuracies[1],
    )


def _bootstrap(
    rng: np.random.Generator,
    among: Sequence[Evaluated],
    recorded: Sequence[np.ndarray],
    beside: int | None,
    own_losses: np.ndarray,
    seed_std: float | None,
    trainings: int,
    beat: Callable[[], None],
) -> tuple[np.ndarray, np.ndarray]:
    """By how much what is chosen on drawn images is worse on those left out than `beside` is on all of them.

    Where `beside` is None, than it is itself on all of them. That is for one that other seeds have measured:
    what else might have been chosen for a smaller gap or a lower loss differs from it by more than luck.

    recorded: the figures of `among`, losses first, see `_figures`. Returns that of each figure, and by how much the
    mean of `own_losses` differs from resample to resample, (resamples,). Where no image is left out, which takes a
    handful of images, the drawn ones serve.
    """
    losses = recorded[0]
    images = losses.shape[1]
    worse, spread = np.empty((len(recorded), RESAMPLES)), np.empty(RESAMPLES)
    for part in np.array_split(np.arange(RESAMPLES), RESAMPLES // AT_ONCE):
        drawn = rng.multinomial(images, np.full(images, 1 / images), len(part))
        weights = np.where((drawn == 0).any(axis=1, keepdims=True), drawn == 0, drawn).astype(np.float64)
        weights /= weights.sum(axis=1, keepdims=True)
        picked = np.arange(len(part)), choose_on(drawn, among, losses, seed_std, trainings)
        for figure, values in enumerate(recorded):
            means = values.mean(axis=1)
            left_out = weights @ values.T
            worse[figure, part] = (left_out - (means if beside is None else means[beside]))[picked]
        spread[part] = drawn @ (own_losses - own_losses.mean()) / images
        beat()
    return worse.mean(axis=1), spread


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


def _figures(those: Sequence[Evaluated], labels: np.ndarray | None) -> list[np.ndarray]:
    """Losses, whether they are right, and with `labels` the same with each class counted alike; each (runs, n)."""
    correct = np.array([one.correct for one in those], np.float64)
    balanced = [] if labels is None else [counted_alike(correct, labels)]
    return [np.array([one.losses for one in those], np.float64), correct, *balanced]
