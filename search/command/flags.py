"""The flags of a search: those of the scripts in studies/ and of `gapsearch run`."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from search.api import Search
from search.command.presets import named_after
from search.errors import UserError
from search.processes import hide_argument
from search.settings import FOLDER
from search.spaces import CHOICES, full_name


class Flag(NamedTuple):
    """A flag with a value. The setting of the same name takes it."""

    name: str
    read: Callable[[str], Any]
    metavar: str
    text: str
    unset: str = ""  # what None stands for
    bare: str | None = None  # the value where none is given; None where one must be


def _workers(text: str) -> int | None:
    if text == "auto":
        return None
    try:
        return int(text)
    except ValueError:
        raise UserError(f"--workers is {text}; write a number, or auto") from None


def read_storage(text: str) -> str:
    """As it is. One that may hold a password is hidden from the list of processes."""
    if "@" in text or "?" in text:
        hide_argument(text)
    return text


def read_range(text: str) -> tuple[str, tuple[float, float]]:
    """`depth=2:4` -> ("depth", (2, 4)). Raises UserError."""
    name, _, ends = text.partition("=")
    try:
        low, high = map(_number, ends.split(":"))
    except ValueError:
        raise UserError(f"--range is {text}; write NAME=LOW:HIGH, as in depth=2:4") from None
    return name, (low, high)


def _number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return float(text)


SPACE, IMAGES, RESULTS = "what is searched and chosen", "images", "results"
# a flag shows in the list of processes, with the password that may be in it
STORAGE_UNSET = "that in the environment variable GAPSEARCH_STORAGE, or else SQLite in the run folder"
GROUPS = {
    "effort": (
        Flag("trials", int, "N", "trials in all, over every start"),
        Flag("epochs", int, "E", "epochs of each trial, at most"),
        Flag(
            "timeout",
            float,
            "SECONDS",
            "end after that long, race included; what runs then is queued again",
            "none",
        ),
    ),
    SPACE: (
        Flag("space", full_name, "NAME", CHOICES),
        Flag("weights", str, "WHICH", "that a pretrained space begins with: published, none, or a FILE", "published"),
        Flag("start-from", Path, "best.yaml", "try its configuration first, in a new search", "none"),
        Flag("max-gap", float, "G", "a ceiling for the gap: what exceeds it is never chosen", "none"),
        Flag("seed", int, "S", "of splits, sampler and training"),
    ),
    IMAGES: (
        Flag("data-root", Path, "DIR", "where the images are, or are downloaded to"),
        Flag("train-size", int, "N", "images to train on", "all but those that validate"),
        Flag("val-size", int, "N", "images to validate on", "a fifth"),
    ),
    "machine": (
        Flag("workers", _workers, "N|auto", "trials side by side", "auto"),
        Flag("device", str, "DEVICE", "auto, cpu, cuda, cuda:0,cuda:1 or mps"),
        Flag("ray", str, "ADDRESS|auto|local", "workers on a Ray cluster", "processes of this machine", "auto"),
        Flag("checkpoints", str, "URL", "on Ray: a folder that all nodes share, or s3://...", "run folder"),
        Flag("hang-after", float, "SECONDS", "end a worker that gives no sign of life for that long"),
    ),
    RESULTS: (
        Flag("name", str, "NAME", "of the study in its storage"),
        Flag("out", Path, "DIR", "run folder"),
        Flag("storage", read_storage, "URL", "Optuna storage, such as postgresql+psycopg://HOST/NAME", STORAGE_UNSET),
        Flag("artifacts", str, "URL", "pictures of trials in an S3-compatible store: s3://BUCKET/PREFIX", "run folder"),
        Flag("mlflow", str, "URI", "add a run for each trial to MLflow: a server, or sqlite:///mlflow.db", "no"),
    ),
}
CHECKED = ("space", "weights", "seed", "data-root")
IMAGE_SIZE = Flag("image-size", int, "N", "bring images to NxN pixels", "what suits most of them")


def purpose(images: str) -> str:
    """What a search does, for --help."""
    return (
        f"Search a configuration for {images} with a low validation loss and a small train-validation gap. "
        "Started again with the same --out, it adds the trials that are missing."
    )


def add_flags(parser: argparse.ArgumentParser, study: Mapping[str, Any]) -> None:
    """Add the flags; --help shows what `study` has, or else `Search`, as defaults.

    Only flags that are given show among what is parsed; see `search_of`.
    """
    settings = {field.name: field.default for field in fields(Search)}
    defaults: dict[str, Any] = {**settings, "out": f"runs/{study['name']}", **study}
    for title, flags in GROUPS.items():
        group = parser.add_argument_group(title)
        for flag in flags:
            _add(group, flag, defaults)
        if title == SPACE:
            _add_ranges(group, study.get("ranges", {}))
            _add_parts(group)
        if title == IMAGES:
            _add_image_flags(group, defaults)
        if title == RESULTS:
            text = "write event files for TensorBoard into the run folder (default: no)"
            group.add_argument("--tensorboard", action="store_true", default=argparse.SUPPRESS, help=text)


def add_check_flags(parser: argparse.ArgumentParser, study: Mapping[str, Any]) -> None:
    """Add the flags that `gapsearch check` shares with a search, with the same defaults."""
    settings: dict[str, Any] = {field.name: field.default for field in fields(Search)}
    for flag in (flag for flags in GROUPS.values() for flag in flags if flag.name in CHECKED):
        _add(parser, flag, settings | dict(study))
    _add_ranges(parser, study.get("ranges", {}))


def search_of(study: Mapping[str, Any], given: Mapping[str, Any]) -> Search:
    """The search that a study's own settings and the flags given make. Raises UserError."""
    chosen = {**study, **given}
    own = dict(chosen.pop("range", ()))
    if full_name(str(chosen.get("space", Search.space))) != full_name(str(study.get("space", Search.space))):
        chosen["ranges"] = {}  # the study's are meant for its own space
    if study["dataset"] == study["name"] == FOLDER and "data_root" in given and "name" not in given:
        chosen["name"] = named_after(given["data_root"])
    return Search(**chosen | {"ranges": {**chosen.get("ranges", {}), **own}})


def _add(group: argparse._ActionsContainer, flag: Flag, defaults: Mapping[str, Any]) -> None:
    default = defaults[flag.name.replace("-", "_")]
    shown = flag.unset if default is None else str(default)
    text = f"{flag.text} (default: {shown})" if shown else flag.text
    group.add_argument(
        f"--{flag.name}",
        type=flag.read,
        metavar=flag.metavar,
        nargs=None if flag.bare is None else "?",
        const=flag.bare,
        default=argparse.SUPPRESS,
        help=text.replace("%", "%%"),  # of a folder's name, perhaps
    )


def _add_ranges(group: argparse._ActionsContainer, ranges: Mapping[str, tuple[float, float]]) -> None:
    """ranges: of the study."""
    shown = " ".join(f"{name}={low:g}:{high:g}" for name, (low, high) in ranges.items())
    group.add_argument(
        "--range",
        action="append",
        type=read_range,
        metavar="NAME=LOW:HIGH",
        default=argparse.SUPPRESS,
        help=f"draw a parameter from there; once for each (default: {shown or 'what the space says'})",
    )


def _add_parts(group: argparse._ArgumentGroup) -> None:
    """The flags that leave out a part of a search, or add one."""
    text = "first see whether the largest and the smallest network can memorize 20 images, which takes seconds"
    group.add_argument("--check", action="store_true", default=argparse.SUPPRESS, help=f"{text} (default: no)")
    for name, text in (
        ("start", "do not begin with the configurations that the space names (default: begin with them)"),
        ("race", "do not race the best with fresh seeds: expected figures are then those of one seed (default: race)"),
    ):
        group.add_argument(f"--no-{name}", action="store_false", dest=name, default=argparse.SUPPRESS, help=text)


def _add_image_flags(group: argparse._ArgumentGroup, defaults: Mapping[str, Any]) -> None:
    text = "weigh classes by their inverse frequency, in training and in all losses, so that each counts alike"
    group.add_argument("--balance", action="store_true", default=argparse.SUPPRESS, help=f"{text} (default: no)")
    group.add_argument(
        "--flip",
        action=argparse.BooleanOptionalAction,
        default=argparse.SUPPRESS,
        help="mirror images left to right (default: what suits the data set)",
    )
    if defaults["dataset"] == FOLDER:
        _add(group, IMAGE_SIZE, defaults)
        group.add_argument(
            "--skip-bad-images",
            action="store_true",
            default=argparse.SUPPRESS,
            help="leave out images that cannot be read or are in two classes (default: end)",
        )
