"""How well single classes are recognized: recall, precision and F1 on the same images by several trainings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.measurement import share_error, standard_error


@dataclass(frozen=True)
class ClassFigures:
    """One class; means over trainings, with standard errors over seeds and images."""

    name: str
    support: int  # images of it
    recall: float  # share of them that are recognized
    recall_se: float
    precision: float | None  # share of those taken for it that are it; None where none was
    precision_se: float | None
    f1: float  # harmonic mean of the two, 2 hits / (support + those taken for it)


def per_class(labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> list[ClassFigures]:
    """The figures of each class that has images, the lowest recall first.

    labels: int (n,), indices of `classes`. predicted: int (k, n), what k trainings took the images for.
    """
    found = [_of(name, labels == number, predicted == number) for number, name in enumerate(classes)]
    return sorted((one for one in found if one.support), key=lambda one: (one.recall, -one.support, one.name))


def _of(name: str, is_it: np.ndarray, taken: np.ndarray) -> ClassFigures:
    """One class. is_it: bool (n,), taken: bool (k, n)."""
    hits, named = (taken & is_it).sum(axis=1), taken.sum(axis=1)
    support = int(is_it.sum())
    recall, recall_se = _share(hits, np.full(len(taken), support))
    precision, precision_se = _share(hits[named > 0], named[named > 0])
    f1 = float((2 * hits / (support + named)).mean()) if support else 0.0
    return ClassFigures(name, support, recall or 0.0, recall_se or 0.0, precision, precision_se, f1)


def _share(hits: np.ndarray, of: np.ndarray) -> tuple[float | None, float | None]:
    """Mean of hits / of over k trainings, and its standard error; both (k,). None where there is nothing to share.

    The images' part is `share_error`. The seeds' part is left out for a single training.
    """
    if not len(of) or not of.all():
        return None, None
    shares, count = hits / of, float(of.mean())
    images = share_error(float(shares.mean()), count)
    return float(shares.mean()), math.hypot(images, standard_error(shares) if len(shares) > 1 else 0.0)
