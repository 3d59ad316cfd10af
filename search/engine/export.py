"""What best.yaml says of the chosen trial, put together at the end of a search."""

import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch

from search.choice.choose import Choice
from search.data.tensors import SearchData
from search.results import best_yaml
from search.results.schema import run_attributes
from search.results.trial_result import TrialResult
from search.settings import Settings
from search.spaces import portable
from search.training.checkpoint import load_weights
from search.training.precision import Precision
from search.training.trial import Conditions

LIBRARIES = ("torch", "torchvision", "optuna", "numpy")


def export(
    settings: Settings, conditions: Conditions, data: SearchData, choice: Choice, trial: TrialResult, seed: int
) -> None:
    """Write best.yaml and best.pt of the chosen trial into the run folder. seed: the one that it was trained with."""
    content = {
        "study": settings.name,
        "trial": trial.number,
        "space": portable(settings.space),
        "config": trial.config,
        "epochs": choice.run.best_epoch + 1,
        "seed": seed,
        "metrics": _metrics(choice),
        "choice": {
            "because": choice.reason,
            "over": [run.number for run in choice.band if run is not choice.run],
            "stopped": str(trial.stopped),
            "baseline_loss": conditions.constraints.baseline_loss,
            "max_gap": conditions.constraints.max_gap,
        },
        "data": _data(data, settings.seed),
        "environment": environment(conditions.precision, trial.device or "cpu"),
    }
    weights, _ = load_weights(conditions.weights(trial.number))
    best_yaml.write(settings.folder, content, weights)


def environment(precision: Precision, device: str) -> dict[str, Any]:
    """What figures may depend on besides the configuration."""
    hardware = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine()
    return {
        **asdict(precision),
        "device": device.partition(":")[0],
        "hardware": hardware,
        "threads": 1,
        "deterministic": device == "cpu",
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def _metrics(choice: Choice) -> dict[str, Any]:
    """The figures at the best epoch, losses first."""
    figures = run_attributes(choice.run)
    first = ("val_loss", "val_loss_se", "gap", "gap_se", "train_loss", "train_accuracy", "val_accuracy", "accuracy_gap")
    return {name: figures[name] for name in (*first, "fit", "parameters")}


def _data(data: SearchData, seed: int) -> dict[str, Any]:
    """What the figures were measured on. seed: of the splits."""
    channels, height, width = data.shape
    return {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "classes": list(data.classes),
        "image_size": [height, width],
        "channels": channels,
        "mean": list(data.mean),
        "std": list(data.std),
        "train_size": len(data.splits.train),
        "val_size": len(data.splits.val),
        "seed": seed,
        "flip": data.flip,
    }
