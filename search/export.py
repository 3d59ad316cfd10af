"""best.yaml and best.pt, written; `search.best` reads them."""

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from search.choice.choose import Choice
from search.choice.constraints import Terms
from search.data.tensors import SearchData
from search.results.best_yaml import VERSION
from search.training.precision import Precision

LIBRARIES = ("torch", "torchvision", "optuna", "numpy")


def write(
    folder: Path,
    *,
    study: str,
    choice: Choice,
    trial: Mapping[str, Any],
    seed: int,
    space: str,
    terms: Terms,
    data: SearchData,
    seed_of_splits: int,
    precision: Precision,
    weights: Mapping[str, torch.Tensor],
) -> Path:
    """Write best.yaml and best.pt into `folder`; `trial` are the user attributes of the chosen trial."""
    channels, height, width = data.shape
    run = choice.run
    content = {
        "version": VERSION,
        "study": study,
        "trial": run.number,
        "space": space,
        "config": dict(trial["config"]),
        "epochs": run.best_epoch + 1,
        "seed": seed,
        "metrics": {
            name: getattr(run, name)
            for name in (
                "val_loss",
                "val_loss_se",
                "gap",
                "gap_se",
                "train_loss",
                "train_accuracy",
                "val_accuracy",
                "accuracy_gap",
            )
        }
        | {"fit": run.fit, "parameters": run.parameters},
        "choice": {
            "because": choice.reason,
            "over": [other.number for other in choice.band if other is not run],
            "stopped": run.stopped,
            "baseline_loss": terms.baseline_loss,
            "max_gap": terms.max_gap,
        },
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "classes": list(data.classes),
            "image_size": [height, width],
            "channels": channels,
            "mean": list(data.mean),
            "std": list(data.std),
            "train_size": len(data.splits.train),
            "val_size": len(data.splits.val),
            "seed": seed_of_splits,
            "flip": data.flip,
        },
        "environment": environment(precision, trial["device"]),
    }
    path = folder / "best.yaml"
    _write_yaml(path, content)
    _replace(folder / "best.pt", lambda scratch: torch.save(dict(weights), scratch))
    return path


def add_confirmation(path: Path, confirmation: Mapping[str, Any]) -> None:
    """Write what a confirmation found into the best.yaml at `path`."""
    content = yaml.safe_load(path.read_text(encoding="utf-8")) | {"confirmation": dict(confirmation)}
    _write_yaml(path, content)


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


def _write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    _replace(path, lambda scratch: scratch.write_text(text, encoding="utf-8"))


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the file, then move: a reader never sees half of it."""
    scratch = path.with_name(path.name + ".tmp")
    write(scratch)
    scratch.replace(path)
