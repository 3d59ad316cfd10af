"""The best-epoch weights that trials leave in the run folder, for those that may still be chosen."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from search.choice.run import Run
from search.tensor_files import DamagedFile
from search.training.checkpoint import load_weights
from search.training.trial import Conditions

OURS = re.compile(r"[0-9]+\.pt")


def weights_files(folder: Path) -> Iterator[tuple[int, Path]]:
    """The trials that have left weights in a run folder, and where; files of other names are nobody's business."""
    for path in (folder / "weights").glob("*.pt"):
        if OURS.fullmatch(path.name) and path.is_file():
            yield int(path.stem), path


def read_weights(conditions: Conditions, run: Run) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """The weights of a run and its per-image validation losses, float32 (n,).

    Raises DamagedFile where they are missing, not what they were, or another run's.
    """
    weights, losses = load_weights(conditions.weights(run.number))
    if not math.isclose(float(losses.mean(dtype="float64")), run.at_best.val_loss, rel_tol=1e-6):
        raise DamagedFile("its losses are not those of this trial")
    return weights, losses
