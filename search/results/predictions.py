"""What the weights taken home say of every image of a split, kept in the run folder for reports.

`predictions/validation.npz` is written with best.yaml, `predictions/test.npz` by a confirmation.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from search.results.npz import read_arrays, write_arrays
from search.results.pictures import Pictures

VALIDATION, TEST = "validation", "test"


@dataclass(frozen=True)
class Predictions:
    """Of the weights with that hash, on n images of k classes."""

    weights_sha256: str  # of best.pt, as best.yaml names it
    images: np.ndarray  # int64 (n,): their places in the part of the data set that they are from
    labels: np.ndarray  # int64 (n,)
    logits: np.ndarray  # float32 (n, k)
    pictures: Pictures = field(default_factory=Pictures)  # of the worst mistakes, by their places among the n

    def probabilities(self, temperature: float = 1.0) -> np.ndarray:
        """The softmax of logits / temperature, float64 (n, k)."""
        scaled = self.logits.astype(np.float64) / temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        powers = np.exp(scaled)
        return powers / powers.sum(axis=1, keepdims=True)

    @property
    def predicted(self) -> np.ndarray:
        """The class of the largest logit, int64 (n,)."""
        return self.logits.argmax(axis=1)


def save(folder: Path, split: str, predictions: Predictions) -> None:
    """Write those of a split into the run folder. Raises OSError where that fails."""
    arrays = {name: getattr(predictions, name) for name in ("images", "labels", "logits")}
    sha256 = np.array(predictions.weights_sha256)
    write_arrays(_path(folder, split), {"weights_sha256": sha256, **arrays, **predictions.pictures.arrays()})


def read(folder: Path, split: str, weights_sha256: str | None) -> Predictions | None:
    """Those of the weights with that hash; None where there are none that can be read."""
    arrays = read_arrays(_path(folder, split))
    try:
        images, labels, logits = (arrays[name] for name in ("images", "labels", "logits"))
        pictures = Pictures.among(arrays, len(images))
        found = Predictions(str(arrays["weights_sha256"]), images, labels, logits, pictures)
        sound = logits.ndim == 2 and len(images) == len(labels) == len(logits)
    except (KeyError, TypeError):
        return None
    return found if sound and found.weights_sha256 == weights_sha256 else None


def _path(folder: Path, split: str) -> Path:
    return folder / "predictions" / f"{split}.npz"
