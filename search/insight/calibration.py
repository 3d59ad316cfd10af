"""Whether probabilities mean what they say, and the temperature that makes them do so.

A network that is right in 90 of 100 images of which it says 99% is overconfident. Its logits are divided by one number,
the temperature, fitted on the validation images (Guo et al. 2017, "On Calibration of Modern Neural Networks"). The
class that it names stays the same.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

BINS = 15  # of confidence, equally wide, as Guo et al. have them
LOWEST, HIGHEST = 0.05, 20.0  # temperatures


@dataclass(frozen=True)
class Calibration:
    """Of the validation images; the fields are those of `calibration` in best.yaml."""

    temperature: float  # 1 where no other one helps
    val_loss: float  # nats, of the probabilities as they are
    val_loss_calibrated: float  # each half of the images with the temperature of the other half
    calibration_error: float  # see `calibration_error`
    calibration_error_calibrated: float  # likewise by halves


@dataclass(frozen=True)
class Bin:
    """The images whose confidence, the probability of the class named, lies in one interval."""

    images: int
    confidence: float  # mean
    accuracy: float


def calibrate(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> Calibration | None:
    """The temperature for logits (n, k) of images with these labels, int (n,), and what it brings.

    weights: of the images in every loss, (n,), where classes are weighed; in the calibration error they count alike.

    It is 1 where the temperature of one half of the images does not lower the loss of the other half. None where a
    logit is not finite, or there are too few images to halve.
    """
    logits = np.asarray(logits, dtype=np.float64)
    if len(labels) < 4 or not np.isfinite(logits).all():
        return None
    weights = np.ones(len(labels)) if weights is None else weights
    halved = np.empty_like(logits)
    for half, other in halves(labels):
        halved[half] = logits[half] / fit_temperature(logits[other], labels[other], weights[other])
    before, after = (cross_entropy(each, labels, weights) for each in (logits, halved))
    if after >= before:
        halved, after = logits, before
    return Calibration(
        temperature=fit_temperature(logits, labels, weights) if after < before else 1.0,
        val_loss=before,
        val_loss_calibrated=after,
        calibration_error=calibration_error(softmax(logits), labels),
        calibration_error_calibrated=calibration_error(softmax(halved), labels),
    )


def halves(labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Two halves of the images, every class in both where it can be, and which is the other one of each; bool (n,)."""
    first = np.zeros(len(labels), dtype=bool)
    first[np.argsort(labels, kind="stable")[::2]] = True
    return [(first, ~first), (~first, first)]


def fit_temperature(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The temperature of lowest cross-entropy, see there for the weights.

    The labels are taken for right in (n + 1) of (n + 2) cases, as Platt (1999, "Probabilistic outputs for support
    vector machines") has it: where every image is right, the temperature would fall to zero otherwise.
    """
    doubt = 1 / (len(labels) + 2)

    def loss(log_temperature: float) -> float:
        scaled = logits / math.exp(log_temperature)
        against_all = float(np.average(logsumexp(scaled, axis=1) - scaled.mean(axis=1), weights=weights))
        return (1 - doubt) * cross_entropy(scaled, labels, weights) + doubt * against_all

    found = minimize_scalar(loss, bounds=(math.log(LOWEST), math.log(HIGHEST)), method="bounded")
    return float(math.exp(found.x))


def cross_entropy(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean over the images, nats. weights: of the images, (n,); None for 1 each."""
    of_images = logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]
    return float(np.average(of_images, weights=weights))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (n, k)."""
    return np.exp(logits - logsumexp(logits, axis=1, keepdims=True))


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error: the mean distance of confidence and accuracy in a bin, weighted by its images."""
    bins = reliability(probabilities, labels)
    return sum(one.images * abs(one.confidence - one.accuracy) for one in bins) / len(labels)


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> list[Bin]:
    """The bins of confidence that hold images, from the lowest on."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        Bin(int(inside.sum()), float(confidence[inside].mean()), float(right[inside].mean()))
        for number in range(BINS)
        if (inside := place == number).any()
    ]
