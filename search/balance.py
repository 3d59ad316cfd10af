"""Classes of uneven size: how uneven they are, and losses and accuracies in which each class counts alike."""

from collections.abc import Sequence

import numpy as np

UNEVEN = 1.5  # from which ratio of the largest class to the smallest on balanced accuracy stands beside accuracy


def ratio(counts: Sequence[int] | np.ndarray) -> float:
    """How many times as many images the largest class has as the smallest one that has any; 1 where none has.

    counts: images of each class.
    """
    present = [count for count in counts if count]
    return max(present) / min(present) if present else 1.0


def inverse_frequency(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """A weight for each class, float32: n / (k n_c), of n images in k classes, n_c of this one.

    So the weights of all classes sum to the same, and the mean over the images that were counted is 1. A class without
    images has the weight that one image would give it.
    """
    counts = np.asarray(counts, dtype=np.float64)
    return (counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype(np.float32)


def reweighted(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Per-image values whose plain mean is the weighted mean of `values`, with the standard error of that; both (n,).

    m + w (v - m), with m = sum(w v) / sum(w) and the weights w scaled to a mean of 1: the linearized ratio estimator
    (Cochran, Sampling Techniques, 1977, chapter 6). It is linear in the values. So differences of the same images,
    means over seeds and bootstraps over images need not know of weights. Single values may be below 0.
    """
    weights = weights / weights.mean(dtype=np.float64)
    with np.errstate(invalid="ignore"):  # infinite losses
        mean = (weights * values).mean(dtype=np.float64)
        return (mean + weights * (values - mean)).astype(values.dtype)


def weighed_back(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What `reweighted` was given, from what it gave; both (n,)."""
    weights, mean = weights / weights.mean(dtype=np.float64), values.mean(dtype=np.float64)
    return mean + (values - mean) / weights


def counted_alike(correct: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Per-image values whose plain mean is the balanced accuracy, the mean recall of the classes; float64.

    correct: bool (..., n), several trainings perhaps. labels: int (n,).
    """
    weights = inverse_frequency(np.bincount(labels))[labels]
    return np.apply_along_axis(lambda one: reweighted(one, weights), -1, np.asarray(correct, dtype=np.float64))
