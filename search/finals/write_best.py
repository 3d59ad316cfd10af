"""What best.yaml says of the chosen trial, put together at the end of a search."""

import contextlib
import hashlib
import logging
import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from search.choice.choose import Choice
from search.choice.run import Run
from search.choice.seed_noise import Repeat
from search.data import FOLDER, datasets
from search.data.tensors import SearchData
from search.errors import UserError
from search.finals.fresh_weights import write_ensemble
from search.finals.predictions import predict_validation, with_pictures
from search.insight.calibration import calibrate
from search.recording.weights import read_weights
from search.results import best_yaml, ensemble, predictions
from search.results.schema import run_attributes
from search.results.snapshot import StudySnapshot
from search.settings import Settings
from search.spaces import portable
from search.training.precision import Precision
from search.training.tensor_files import DamagedFile, load_tensors
from search.training.trial import Conditions

logger = logging.getLogger(__name__)

LIBRARIES = ("torch", "torchvision", "optuna", "numpy")


def write_best(
    settings: Settings,
    conditions: Conditions,
    data: SearchData,
    choice: Choice,
    snapshot: StudySnapshot,
    seed: int,
    repeats: Sequence[Repeat],
    *,
    in_haste: bool = False,
) -> None:
    """Write best.yaml and best.pt of the chosen trial into the run folder; says so where its weights are lost.

    What the weights say of the validation images is written too, and the temperature found from it, unless `in_haste`.

    snapshot: with the choice. seed: its own. repeats: its trainings in the race. Raises OSError.
    """
    content = _content(settings, conditions, data, choice, snapshot, seed)
    before = _earlier(settings.folder, content)
    weights = _weights(conditions, choice.run, before)
    found = None if weights is None or in_haste else predict_validation(settings.space, content, weights, data)
    if weights is None or found is None:
        known = {} if weights is None else _known(before, content)
        best_yaml.write(settings.folder, content | known, weights)
        if "ensemble" not in known:
            (settings.folder / ensemble.NAME).unlink(missing_ok=True)  # it is of an earlier choice
        return
    calibration = calibrate(found.logits, found.labels, data.weights_of(found.labels))
    together = write_ensemble(settings.space, conditions, content, weights, found, repeats, data)
    if together is not None:
        logger.info(_told(together, settings.folder / ensemble.NAME))
    now = {"calibration": calibration and asdict(calibration), "ensemble": together}
    known = _confirmation(_earlier(settings.folder, content), content | now)  # one may have ended by now
    content = {name: value for name, value in (content | now | known).items() if value is not None}
    sha256 = best_yaml.write(settings.folder, content, weights)
    if sha256 is not None:
        found = with_pictures(found, data, 1.0 if calibration is None else calibration.temperature)
        predictions.save(settings.folder, predictions.VALIDATION, replace(found, weights_sha256=sha256))


def _content(
    settings: Settings,
    conditions: Conditions,
    data: SearchData,
    choice: Choice,
    snapshot: StudySnapshot,
    seed: int,
) -> dict[str, Any]:
    """What best.yaml says, in its order."""
    trial = snapshot.trials[choice.run.number]
    return {
        "study": settings.name,
        "trial": trial.number,
        "space": portable(settings.space),
        "config": trial.config,
        "epochs": choice.run.best_epoch + 1,
        "seed": seed,
        **({} if snapshot.expected is None else {"expected": dict(snapshot.expected)}),
        "metrics": _metrics(choice),
        "choice": {
            "because": choice.reason,
            "over": [run.number for run in choice.band if run is not choice.run],
            "stopped": str(trial.stopped),
            "baseline_loss": conditions.constraints.baseline_loss,
            **snapshot.rivals.as_dict(),
            "unrecognized": list(snapshot.unrecognized),
            "max_gap": conditions.constraints.max_gap,
        },
        "data": _data(data, settings),
        "environment": environment(conditions.precision, trial.device or "cpu"),
    }


def _weights(conditions: Conditions, run: Run, before: Mapping[str, Any] | None) -> dict[str, torch.Tensor] | None:
    """The weights of a run, from best.pt where they are damaged and `before` is of it; None where lost, which is said.

    before: the best.yaml of an earlier start that chose the same run.
    """
    try:
        return read_weights(conditions, run)[0]
    except DamagedFile as damage:
        exported = conditions.folder / "best.pt"
        with contextlib.suppress(DamagedFile, OSError):
            if before is not None and before.get("weights_sha256") == hashlib.sha256(exported.read_bytes()).hexdigest():
                return load_tensors(exported)
        logger.warning(
            f"best.pt could not be written, the weights of trial {run.number} are lost ({damage}); "
            f"gapsearch train {shlex.quote(str(conditions.folder / 'best.yaml'))} makes them again"
        )
        return None


def _known(before: Mapping[str, Any] | None, content: Mapping[str, Any]) -> dict[str, Any]:
    """What was found out about the same trial since an earlier start chose it."""
    if before is None:
        return {}
    known = {name: before[name] for name in ("calibration", "ensemble") if name in before}
    return known | _confirmation(before, {**content, **known})


def _confirmation(before: Mapping[str, Any] | None, content: Mapping[str, Any]) -> dict[str, Any]:
    """The confirmation of the same trial, without what is not true any more: other rivals, another ensemble.pt."""
    if before is None or "confirmation" not in before:
        return {}
    confirmation: dict[str, Any] = before["confirmation"]
    if before["choice"] != content["choice"]:
        confirmation = confirmation | {"others": []}
    if before.get("ensemble") != content.get("ensemble"):
        confirmation = {name: value for name, value in confirmation.items() if not name.startswith("ensemble_")}
    return {"confirmation": confirmation}


def _told(together: Mapping[str, Any], file: Path) -> str:
    """An ensemble in words."""
    return (
        f"{together['networks']} networks of the chosen configuration as one, {file}: "
        f"val_loss {together['val_loss']:.4f}, one alone {together['mean_val_loss']:.4f} on average"
    )


def _earlier(folder: Path, content: Mapping[str, Any]) -> dict[str, Any] | None:
    """The best.yaml of an earlier start that chose the same trial on the same images; None where there is none."""
    with contextlib.suppress(UserError):
        before = best_yaml.read(folder / "best.yaml")
        same = [before[name] == content[name] for name in ("study", "trial", "seed", "config", "epochs", "metrics")]
        if all(same) and before["data"] | {"root": None} == content["data"] | {"root": None}:
            return before
    return None


def environment(precision: Precision, device: str) -> dict[str, Any]:
    """What figures may depend on besides the configuration."""
    return {
        **asdict(precision),
        "device": device.partition(":")[0],
        "hardware": _hardware(device),
        "threads": 1,
        "deterministic": device == "cpu",
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def _hardware(device: str) -> str:
    """The name of a device; its kind where this machine has no such one, since trials may have run on another."""
    if not device.startswith("cuda"):
        return platform.machine()
    try:
        return torch.cuda.get_device_name(device)
    except (AssertionError, RuntimeError):  # no CUDA here, or fewer GPUs
        return "cuda"


def _metrics(choice: Choice) -> dict[str, Any]:
    """The figures at the best epoch, losses first."""
    figures = run_attributes(choice.run)
    losses = ("val_loss", "val_loss_se", "gap", "gap_se", "train_loss")
    accuracies = ("train_accuracy", "val_accuracy", "val_balanced_accuracy", "accuracy_gap")
    return {name: figures[name] for name in (*losses, *accuracies, "fit", "parameters") if name in figures}


def _data(data: SearchData, settings: Settings) -> dict[str, Any]:
    """What the figures were measured on."""
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
        "seed": settings.seed,
        "flip": data.flip,
        "balance": settings.balance,
        **_root(settings),
    }


def _root(settings: Settings) -> dict[str, str]:
    """Where the images lie, as seen from the run folder; nothing where they come with a package, or far from it.

    Far is what shares the root of the file system alone: a way from there would be an absolute path in disguise.
    """
    if datasets.SOURCES[settings.dataset].location is None and settings.dataset != FOLDER:
        return {}
    images, folder = os.path.abspath(settings.data_root), os.path.abspath(settings.folder)
    if os.path.dirname(common := os.path.commonpath([images, folder])) == common:
        return {}
    return {"root": Path(os.path.relpath(images, folder)).as_posix()}
