"""The settings of a search, checked; what a script's flags end up as."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.errors import UserError
from search.spaces import full_name, identity

FOLDER = "folder"  # the data set that is a folder of images
SMALLEST_IMAGE = 8  # pixels


@dataclass(frozen=True)
class Settings:
    """What to search, on which images, with what effort.

    space: `cnn` and the like, a module's dotted name, or a Python file's path. ranges: changes to the space's
    ranges, parameter -> (lowest, highest). trials: in all, over every start of this search. epochs: at most, for
    each trial.
    workers: None for as many as pay. timeout: seconds. max_gap: a ceiling for the gap, in nats. flip: mirror
    images; None for what suits the data set. image_size: to which a folder's images are brought, in pixels;
    None for what suits them. skip_bad_images: leave out those that cannot be read.

    Raises UserError for values that make no sense.
    """

    name: str
    dataset: str
    space: str = "spaces.cnn"
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    trials: int = 40
    epochs: int = 20
    workers: int | None = None
    device: str = "auto"
    out: str | Path | None = None
    storage: str | None = None
    data_root: str | Path = Path("data")
    train_size: int | None = None
    val_size: int | None = None
    seed: int = 0
    timeout: float | None = None
    max_gap: float | None = None
    flip: bool | None = None
    image_size: int | None = None
    skip_bad_images: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "space", full_name(str(self.space)))
        for flag, lowest in (
            ("trials", 1),
            ("epochs", 1),
            ("workers", 1),
            ("train_size", 1),
            ("val_size", 1),
            ("image_size", SMALLEST_IMAGE),
        ):
            self._at_least(flag, lowest)
        self._at_least("seed", 0)
        for flag in ("timeout", "max_gap"):
            value = getattr(self, flag)
            if value is not None and not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
                shown = repr(value) if isinstance(value, str) else f"{value:g}"
                raise UserError(f"{_flag(flag)} is {shown}; it must be a number above 0")
        if self.image_size is not None and self.dataset != FOLDER:
            raise UserError(f"--image-size is for a folder of images; those of {self.dataset} have one size")
        if self.skip_bad_images and self.dataset != FOLDER:
            raise UserError(f"--skip-bad-images is for a folder of images; those of {self.dataset} are all good")
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"--out {self.folder} is a file; name a folder")

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.out) if self.out is not None else Path("runs") / self.name

    @property
    def storage_url(self) -> str:
        """Where Optuna keeps the study."""
        return self.storage or f"sqlite:///{self.folder / 'study.db'}"

    def comparable(
        self, fingerprint: str, image_size: int, train_size: int, val_size: int, flip: bool
    ) -> dict[str, Any]:
        """What must be the same at every start, since runs could not be compared otherwise; by flag name."""
        return {
            "data set": self.dataset,
            "--image-size": image_size,  # before the fingerprint, which changes with it and says less
            "data fingerprint": fingerprint,
            "--train-size": train_size,
            "--val-size": val_size,
            "--seed": self.seed,
            "--max-gap": self.max_gap,
            "--flip": flip,
            "space": identity(self.space),
            "ranges": {name: list(bounds) for name, bounds in self.ranges.items()},
        }

    def _at_least(self, name: str, lowest: int) -> None:
        value = getattr(self, name)
        if value is None and getattr(Settings, name) is None:  # left to us
            return
        if not isinstance(value, int):
            raise UserError(f"{_flag(name)} is {value!r}; it must be a whole number")
        if value < lowest:
            raise UserError(f"{_flag(name)} is {value}; it must be at least {lowest}")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def resolve_devices(device: str) -> list[str]:
    """`--device` -> the devices to place workers on.

    `auto` is every CUDA device, or else the CPU; `cuda` is every CUDA device; several may be listed with commas.
    Raises UserError where a device is not there.
    """
    import torch

    available = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if device == "auto":
        return available or ["cpu"]
    if device == "cpu":
        return ["cpu"]
    if device == "cuda" and available:
        return available
    if device == "mps" and torch.backends.mps.is_available():
        return ["mps"]
    wanted = device.split(",")
    if all(name in available for name in wanted) and len(set(wanted)) == len(wanted):
        return wanted
    known = "auto, cpu, cuda, cuda:N, mps"
    raise UserError(
        f"--device {device} is not there; this machine has {', '.join([*available, 'cpu'])} (known: {known})"
    )
