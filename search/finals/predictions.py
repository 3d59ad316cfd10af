"""What the weights taken home say of the validation images: for the temperature, and for the report."""

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search.data.tensors import SearchData
from search.errors import described
from search.finals.pictures import MOST, pictures_of
from search.insight.mistakes import worst_mistakes
from search.networks import build_network
from search.results.best_yaml import Best
from search.results.predictions import TEST, Predictions, save
from search.spaces import load_space
from search.training.evaluate import logits_of
from search.training.precision import Precision

logger = logging.getLogger(__name__)


def predict_validation(
    space: str, content: Mapping[str, Any], weights: Mapping[str, torch.Tensor], data: SearchData
) -> Predictions | None:
    """By the network that the `content` of a best.yaml describes, with those weights; no hash is known yet.

    None where the network cannot do it here, which is said: that is no reason to lose what was found.
    """
    try:
        model = build_network(load_space(space).build, content["config"], data.shape, len(data.classes))
        model.load_state_dict(weights)
        logits = predict(model, data, Precision.of(content["environment"]), content["environment"]["device"])
    except Exception as error:  # of a user's network
        logger.warning(f"no probabilities for the validation images: {described(error)}")
        return None
    return Predictions("", data.splits.val, data.val_labels, logits)


def with_pictures(found: Predictions, data: SearchData, temperature: float) -> Predictions:
    """The same, with the images of `data` in which the true class has the lowest probability."""
    worst = worst_mistakes(found.labels, found.probabilities(temperature), MOST)
    return replace(found, pictures=pictures_of(data, found.images, worst))


def keep_test_predictions(best: Best, test: SearchData, folder: Path) -> None:
    """What best.pt says of the test images, for the report of the run folder; without a word where it has no room."""
    if best.weights_sha256 is None:  # of an older release: no report could tell whose they are
        return
    logits = predict(best.trained(), test, Precision.of(best.environment), "cpu")
    found = Predictions(best.weights_sha256, test.splits.val, test.val_labels, logits)
    with contextlib.suppress(OSError):
        save(folder, TEST, with_pictures(found, test, best.temperature))


def predict(model: torch.nn.Module, data: SearchData, precision: Precision, kind: str) -> np.ndarray:
    """Logits (n, k) for the validation split of `data`. kind: of device that is best, if there is one here."""
    device = torch.device("cuda" if kind == "cuda" and torch.cuda.is_available() else "cpu")
    images = data.to(device)
    return logits_of(precision.place_model(model.to(device)), images, images.val, precision)
