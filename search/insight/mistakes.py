"""Which images a network takes for another class than theirs: by classes, and the worst single ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Confusion:
    """Images of one class that are taken for another."""

    true: str
    taken_for: str
    images: int
    of: int  # images of the true class

    @property
    def share(self) -> float:
        """Of the images of the true class."""
        return self.images / self.of


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How many images of each class (row) are taken for each class (column), int64 (classes, classes).

    labels, predicted: int (n,).
    """
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def row_shares(matrix: np.ndarray) -> np.ndarray:
    """A confusion matrix as shares of each true class, float64; zero for a class without images."""
    images = matrix.sum(axis=1, keepdims=True)
    return np.divide(matrix, images, out=np.zeros(matrix.shape), where=images > 0)


def confusions(matrix: np.ndarray, names: Sequence[str], most: int) -> list[Confusion]:
    """The pairs of classes with the most mistakes, at most so many; the greater share first where they are as many."""
    images = matrix.sum(axis=1)
    found = [
        Confusion(names[true], names[taken], int(matrix[true, taken]), int(images[true]))
        for true, taken in np.argwhere(matrix).tolist()
        if true != taken
    ]
    return sorted(found, key=lambda one: (-one.images, -one.share, one.true, one.taken_for))[:most]


def worst_mistakes(labels: np.ndarray, probabilities: np.ndarray, most: int) -> np.ndarray:
    """The places of the mistakes in which the true class has the lowest probability, that first; int64 (at most most,).

    labels: int (n,). probabilities: (n, k).
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(probabilities[wrong, labels[wrong]], kind="stable")][:most]
