"""best.yaml and best.pt: written, read, and trained again."""

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from search.data import SearchData
from search.errors import UserError
from search.precision import Precision
from search.selection import Choice, Terms
from search.spaces import Space, find_space

VERSION = 1
LIBRARIES = ("torch", "torchvision", "optuna", "numpy")


@dataclass(frozen=True)
class Best:
    """The content of a best.yaml.

    config: what the space drew. epochs: to train, up to and including the best epoch. metrics: at that
    epoch, with standard errors. data, environment: what the figures were measured on and with.
    confirmation: what `python -m search confirm` found, or None before.
    """

    study: str
    trial: int
    space: str
    config: dict[str, Any]
    epochs: int
    seed: int
    metrics: dict[str, float]
    choice: dict[str, Any]
    data: dict[str, Any]
    environment: dict[str, Any]
    build_network: Callable[..., torch.nn.Module]
    weights_file: Path
    confirmation: dict[str, Any] | None = None

    def build(self) -> torch.nn.Module:
        """The network of this configuration, its weights fresh."""
        return self.build_network(
            self.config,
            channels=self.data["channels"],
            image_size=tuple(self.data["image_size"]),
            classes=len(self.data["classes"]),
        )

    def trained(self) -> torch.nn.Module:
        """The network with the weights of best.pt, in eval mode; it takes images normalized as `data` says."""
        model = self.build()
        model.load_state_dict(torch.load(self.weights_file, map_location="cpu", weights_only=True))
        return model.eval()

    @property
    def precision(self) -> Precision:
        """The number format and memory layout it was trained in."""
        return Precision(self.environment["bf16"], self.environment["channels_last"])


def load(path: str | Path, space: Space | None = None) -> Best:
    """Read a best.yaml.

    The space named there is imported, or run from its file: the copy beside best.yaml, or else that path below
    the current folder. `space`, a module of yours perhaps, takes its place.

    Raises UserError where best.yaml is missing, is none, or comes from a newer version, and where its space
    cannot be found.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}; a finished search writes it to its run folder"
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or "version" not in content:
        raise UserError(f"{path} is no best.yaml: it has no version")
    if content.pop("version") != VERSION:
        raise UserError(f"{path} was written by another version of gapsearch; install the one it names")
    try:
        return Best(
            **content,
            build_network=(space or _space_of(content["space"], path)).build,
            weights_file=path.with_name("best.pt"),
        )
    except (TypeError, KeyError) as error:
        raise UserError(f"{path} is no complete best.yaml: {error}") from None


def _space_of(name: str, path: Path) -> Space:
    try:
        return find_space(name, path.parent)
    except UserError as error:
        raise UserError(f"the space of {path}: {error}; or give search.load its module with space=") from error


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
