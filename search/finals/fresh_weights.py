"""The weights that the race's trainings leave: those of the chosen configuration become ensemble.pt."""

import contextlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from search.balance import reweighted
from search.choice.seed_noise import Repeat
from search.data.tensors import SearchData
from search.finals.predictions import predict_validation
from search.results import ensemble
from search.results.predictions import Predictions
from search.training.checkpoint import load_weights
from search.training.ensemble import mean_logits
from search.training.tensor_files import DamagedFile
from search.training.trial import Conditions

OURS = re.compile(r"([0-9]+)\.([0-9]+)\.pt")  # number of the trial, index of its seed
MOST = 5  # networks: each costs as much to use as best.pt alone

Weights = Mapping[str, torch.Tensor]


def keep_those_of(number: int, conditions: Conditions) -> None:
    """Remove the weights of the race's other trainings."""
    for path in (conditions.folder / "weights").glob("*.pt"):
        if (found := OURS.fullmatch(path.name)) and int(found[1]) != number:
            path.unlink(missing_ok=True)


def write_ensemble(
    space: str,
    conditions: Conditions,
    content: Mapping[str, Any],
    weights: Weights,
    own: Predictions,
    repeats: Sequence[Repeat],
    data: SearchData,
) -> dict[str, Any] | None:
    """Write ensemble.pt of the `weights` taken home and those of the same configuration's fresh seeds.

    content: of best.yaml. own: what the `weights` say of the validation images. Returns what best.yaml says of it:
    its loss on these images, and the mean loss of its networks. None where there are no fresh ones, or they cannot
    be used here. Raises OSError.
    """
    members = [weights, *_fresh(conditions, repeats)][:MOST]
    found = [own, *(predict_validation(space, content, one, data) for one in members[1:])]
    logits = [torch.from_numpy(one.logits) for one in found if one is not None]
    if len(logits) < max(len(found), 2):
        (conditions.folder / ensemble.NAME).unlink(missing_ok=True)
        return None
    return {
        "networks": len(members),
        "val_loss": _loss(mean_logits(logits), data),
        "mean_val_loss": math.fsum(_loss(one, data) for one in logits) / len(logits),
        "sha256": ensemble.write(conditions.folder, members),
    }


def _fresh(conditions: Conditions, repeats: Sequence[Repeat]) -> Iterator[Weights]:
    """What the trainings with fresh seeds have left, as far as it is whole."""
    for repeat in repeats:
        with contextlib.suppress(DamagedFile):
            weights, losses = load_weights(conditions.weights(repeat.trial, repeat.index))
            if math.isclose(float(losses.mean(dtype=np.float64)), repeat.val_loss, rel_tol=1e-6):
                yield weights


def _loss(logits: torch.Tensor, data: SearchData) -> float:
    """Mean cross-entropy on the validation images, weighed as the search weighs it."""
    labels = data.val_labels
    losses = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels), reduction="none").numpy()
    weights = data.weights_of(labels)
    return float((losses if weights is None else reweighted(losses, weights)).mean(dtype=np.float64))
