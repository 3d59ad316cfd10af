"""One run of the calibration benchmark: its curves as they are, and after the best temperature of each epoch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.special import logsumexp

from search.data.tensors import DeviceData
from search.insight.calibration import cross_entropy, fit_temperature, halves
from search.stopping import OverfitRule
from search.training.evaluate import logits_of
from search.training.trainer import Trainer
from spaces import cnn
from studies.benchmarks.pruning.record import PRECISION

Curves = dict[str, list[float]]


def record(
    config: Mapping[str, Any], seed: int, data: DeviceData, test: DeviceData, epochs: int
) -> dict[str, int | str]:
    """Train one configuration without stopping; a row: each curve is text, its values apart by spaces.

    `stop` and `stop_calibrated` are the epochs (from 1) after which `OverfitRule` ends the run by either loss.
    """
    measured_here = replace(data, probe=data.probe[:1], val=data.val[:1])  # all of them below, with their logits
    trainer = Trainer(cnn.build, config, measured_here, seed=seed, precision=PRECISION)
    rules = {"stop": OverfitRule(), "stop_calibrated": OverfitRule()}
    stops = dict.fromkeys(rules, epochs)
    curves: Curves = {}
    for number in range(1, epochs + 1):
        trainer.epoch()
        train, val, on_test = (
            logits_of(trainer.averaged, images, indices, PRECISION).astype(np.float64)
            for images, indices in ((data, data.probe), (data, data.val), (test, test.val))
        )
        labels = [_labels(data, data.probe), _labels(data, data.val), _labels(test, test.val)]
        figures, losses = of_epoch([train, val, on_test], labels)
        for name, value in figures.items():
            curves.setdefault(name, []).append(value)
        for name, rule in rules.items():
            if rule.update(*losses[name]).stop:
                stops[name] = min(stops[name], number)
    texts = {name: " ".join(f"{value:.5g}" for value in values) for name, values in curves.items()}
    return {"seed": seed, "config": json.dumps(config), **stops, **texts}


def of_epoch(
    logits: Sequence[np.ndarray], labels: Sequence[np.ndarray]
) -> tuple[dict[str, float], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """The figures of an epoch, and the losses per image (train, val) that each rule is given.

    logits, labels: of the train probe, the validation images and the test images.
    """
    train, val, test = logits
    of_train, of_val, of_test = labels
    temperature = fit_temperature(val, of_val)
    halved = np.empty_like(val)
    for half, other in halves(of_val):
        halved[half] = val[half] / fit_temperature(val[other], of_val[other])
    plain = per_image(train, of_train), per_image(val, of_val)
    calibrated = per_image(train / temperature, of_train), per_image(halved, of_val)
    figures = {
        "train_loss": plain[0].mean(),
        "train_loss_calibrated": calibrated[0].mean(),
        "val_loss": plain[1].mean(),
        "val_loss_calibrated": calibrated[1].mean(),
        "val_accuracy": (val.argmax(axis=1) == of_val).mean(),
        "temperature": temperature,
        "test_loss": cross_entropy(test, of_test),
        "test_loss_calibrated": cross_entropy(test / temperature, of_test),
        "test_accuracy": (test.argmax(axis=1) == of_test).mean(),
    }
    return {name: float(value) for name, value in figures.items()}, {"stop": plain, "stop_calibrated": calibrated}


def per_image(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cross-entropy of each image, nats."""
    found: np.ndarray = logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]
    return found


def _labels(data: DeviceData, indices: torch.Tensor) -> np.ndarray:
    return data.labels[indices].numpy()
