"""The settings of a search, checked; what a script's flags end up as."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search import start_weights
from search.data import FOLDER
from search.errors import UserError, one_line
from search.spaces import fingerprint, full_name, short_name

DEFAULT_SPACE = "spaces.cnn"
SMALLEST_IMAGE = 8  # pixels
MOST_SEED = 2**32 - 1  # that scikit-learn takes
MOST_WORKERS = max(64, 8 * (os.cpu_count() or 1))  # beyond, memory is gone before anything is trained
WITH_PASSWORD = re.compile(r"://[^/@]*:[^@]*@")  # of a URL; Amazon's keys may hold a slash
WITHOUT_FLAG = {  # settings that are shown by another name than their flag's
    "dataset": "data set",
    "data_fingerprint": "data fingerprint",
    "space": "space",
    "space_fingerprint": "fingerprint of the space's file",
    "ranges": "ranges",
}
LONGEST_NAME = 512  # of a study in Optuna's tables


@dataclass(frozen=True)
class Settings:
    """What to search, on which images, with what effort.

    Raises UserError for values that make no sense.
    """

    name: str  # of the study
    dataset: str  # a key of `search.data.datasets.SOURCES`
    space: str = DEFAULT_SPACE  # `cnn` and the like, a module's dotted name, or a Python file's path
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # parameter -> (lowest, highest)
    # that networks begin with: published, none, or the file of one network; None for what the space says
    weights: str | None = None
    start: bool = True  # first try the configurations that the space names
    start_from: str | Path | None = None  # a best.yaml, or its run folder, whose configuration is tried before those
    trials: int = 40  # in all, over every start of this search
    epochs: int = 20  # of each trial, at most
    workers: int | None = None  # trials side by side; None for as many as pay
    device: str = "auto"
    ray: str | None = None  # workers on the Ray cluster at that address; "auto", "local"; None for processes of our own
    checkpoints: str | None = None  # on Ray: a folder that all nodes share, or an fsspec URL; None for the run folder
    out: str | Path | None = None  # run folder; None for runs/<name>
    # URL of a database; None for that in GAPSEARCH_STORAGE, or else SQLite in the run folder. It may hold a password
    storage: str | None = field(default=None, repr=False)
    artifacts: str | None = None  # s3://bucket/prefix, for the pictures of trials; None for the run folder
    data_root: str | Path = Path("data")  # where the images are, or are downloaded to
    train_size: int | None = None  # None for all images but those that validate
    val_size: int | None = None  # None for a fifth of the images
    tensorboard: bool = False  # write event files into the run folder
    # URI of a tracking server or database of MLflow, which gets a run for each trial. It may hold a password
    mlflow: str | None = field(default=None, repr=False)
    seed: int = 0  # of splits, sampler and training
    timeout: float | None = None  # seconds
    hang_after: float = 600.0  # seconds without a sign of life, after which a worker is ended
    max_gap: float | None = None  # a ceiling for the gap, in nats
    check: bool = False  # first see whether the networks of the space can memorize a few images
    race: bool = True  # train the best again with fresh seeds before one of them is chosen
    balance: bool = False  # weigh classes by their inverse frequency, in training and in all losses
    flip: bool | None = None  # mirror images; None for what suits the data set
    image_size: int | None = None  # to which a folder's images are brought, in pixels; None for what suits them
    skip_bad_images: bool = False  # leave out those that cannot be read

    def __post_init__(self) -> None:
        for name in ("space", "out", "data_root", "start_from", "weights"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, type(value)(os.path.expanduser(value)))
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
        self._at_most("seed", MOST_SEED)
        if self.ray in (None, "local"):
            self._at_most("workers", MOST_WORKERS)
        if self.checkpoints is not None and self.ray is None:
            raise UserError("--checkpoints is for workers on Ray; give --ray too, or leave it out")
        self._require_name()
        for flag in ("timeout", "hang_after", "max_gap"):
            value = getattr(self, flag)
            if value is not None and not (isinstance(value, int | float) and 0 < value < math.inf):
                shown = f"{value:g}" if isinstance(value, float) else repr(value)
                raise UserError(f"{flag_of(flag)} is {shown}; it must be a number above 0")
        for name, bounds in self.ranges.items():
            _require_range(name, bounds)
        if self.image_size is not None and self.dataset != FOLDER:
            raise UserError(f"--image-size is for a folder of images; those of {self.dataset} have one size")
        if self.skip_bad_images and self.dataset != FOLDER:
            raise UserError(f"--skip-bad-images is for a folder of images; those of {self.dataset} are all good")
        self._require_urls()
        if os.path.exists(self.folder) and not os.path.isdir(self.folder):
            raise UserError(f"--out {self.folder} is a file; name a folder")

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.out) if self.out is not None else Path("runs") / self.name

    @property
    def storage_url(self) -> str:
        """Where Optuna keeps the study."""
        from search.results.database import study_url  # SQLAlchemy takes time to import, and --help needs none of it

        return study_url(self.folder, self.storage)

    @property
    def storage_elsewhere(self) -> str | None:
        """`storage_url`, where commands that are given the run folder alone do not find it."""
        from search.results.database import default_storage_url

        return None if self.storage_url == default_storage_url(self.folder) else self.storage_url

    def comparable(
        self, data_fingerprint: str, image_size: int, train_size: int, val_size: int, flip: bool
    ) -> dict[str, Any]:
        """What must be the same at every start, since runs could not be compared otherwise."""
        return {
            "dataset": self.dataset,
            "image_size": image_size,  # before the fingerprint, which changes with it and says less
            "data_fingerprint": data_fingerprint,
            "train_size": train_size,
            "val_size": val_size,
            "seed": self.seed,
            "max_gap": self.max_gap,
            "flip": flip,
            "balance": self.balance or None,  # not set in what an older release has recorded
            "space": short_name(self.space),
            "space_fingerprint": fingerprint(self.space),  # None for a module by name
            "weights": start_weights.fingerprint(self.weights),  # None for the space's own
            "ranges": {name: list(bounds) for name, bounds in self.ranges.items()},
        }

    def _at_most(self, name: str, highest: int) -> None:
        value = getattr(self, name)
        if value is not None and value > highest:
            raise UserError(f"{flag_of(name)} is {value}; it must be at most {highest}")

    def _require_name(self) -> None:
        """Raises UserError where no database or no run folder can have the study's name."""
        if not isinstance(self.name, str) or not self.name or one_line(self.name) != self.name:
            raise UserError(f"the study's name is {self.name!r}; give it one of signs that can be shown")
        if len(self.name) > LONGEST_NAME:
            raise UserError(f"the study's name has {len(self.name)} signs; give it one of at most {LONGEST_NAME}")
        if self.out is None and (Path(self.name).is_absolute() or ".." in Path(self.name).parts):
            raise UserError(f"the study's name {self.name} leads out of runs/; name the run folder with --out")

    def _require_urls(self) -> None:
        """Raises UserError where a URL is not of its kind, or holds a password that would be shown."""
        if self.storage is not None:
            self.storage_url  # noqa: B018
        if self.artifacts is not None:
            from search.results.artifacts import bucket_of  # Optuna takes time to import

            bucket_of(self.artifacts)
        if self.checkpoints is not None and WITH_PASSWORD.search(str(self.checkpoints)):
            raise UserError(
                "--checkpoints holds a password; leave it out: fsspec finds keys by itself, as in AWS_PROFILE"
            )

    def _at_least(self, name: str, lowest: int) -> None:
        value = getattr(self, name)
        if value is None and getattr(Settings, name) is None:  # left to us
            return
        if not isinstance(value, int):
            raise UserError(f"{flag_of(name)} is {value!r}; it must be a whole number")
        if value < lowest:
            raise UserError(f"{flag_of(name)} is {value}; it must be at least {lowest}")


def _require_range(name: str, bounds: object) -> None:
    """Raises UserError where it is no range, or its ends are the wrong way round."""
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise UserError(f"the range of {name} is {bounds!r}; give its lowest and its highest value, as in (2, 4)")
    if not all(isinstance(end, int | float) and math.isfinite(end) for end in bounds):
        raise UserError(f"the range of {name} is {bounds!r}; its ends must be numbers")
    low, high = bounds
    if low > high:
        raise UserError(f"the range of {name} is {low:g} to {high:g}; its lowest value comes first, {high:g}")


def shown_name(setting: str) -> str:
    """A setting of `Settings.comparable` as a person knows it: its flag, where it has one."""
    return WITHOUT_FLAG.get(setting) or flag_of(setting)


def shown_value(value: object) -> str:
    """The value of a setting, in words."""
    return "not set" if value is None else repr(value)


def flag_of(name: str) -> str:
    """`train_size` -> `--train-size`."""
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
