"""What a study script calls: flags, start, resume, end.

from search.study import main

if __name__ == "__main__":
    main(name="digits", dataset="digits")
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from search.api import Search
from search.cli import Parser, guarded
from search.data import FOLDER
from search.errors import UserError
from search.spaces import CHOICES, full_name


def main(arguments: Sequence[str] | None = None, **study: Any) -> NoReturn:  # noqa: ANN401
    """Run a study script: `study` are its `Settings`, flags go before them. Exits with 0, 2 or 130."""
    sys.exit(guarded(lambda: _run(arguments, study)))


def _run(arguments: Sequence[str] | None, study: dict[str, Any]) -> int:
    parse(arguments, study).run()
    return 0


def parse(arguments: Sequence[str] | None, study: dict[str, Any]) -> Search:
    """Flags and the study's own settings -> a search. Raises UserError."""
    defaults = {field.name: field.default for field in fields(Search)} | study
    parser = Parser(
        description=f"Search a configuration for {study['dataset']} with a low validation loss and a small "
        "train-validation gap. Started again with the same --out, it adds the trials that are missing.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for flag, kind, metavar, text in (
        ("--space", full_name, "NAME", CHOICES),
        ("--trials", int, "N", "trials in all, over every start"),
        ("--epochs", int, "E", "epochs of each trial, at most"),
        ("--workers", _workers, "N|auto", "trials side by side"),
        ("--device", str, "DEVICE", "auto, cpu, cuda, cuda:0,cuda:1 or mps"),
        ("--out", Path, "DIR", f"run folder (default: runs/{study['name']})"),
        ("--storage", str, "URL", "Optuna storage (default: SQLite in the run folder)"),
        ("--data-root", Path, "DIR", "where the images are, or are downloaded to"),
        ("--train-size", int, "N", "images to train on (default: all but those that validate)"),
        ("--val-size", int, "N", "images to validate on (default: a fifth)"),
        ("--seed", int, "S", "of splits, sampler and training"),
        ("--timeout", float, "SECONDS", "end after that long; what runs then is queued again"),
        ("--max-gap", float, "G", "a ceiling for the gap: what exceeds it is never chosen"),
    ):
        default = defaults[flag[2:].replace("-", "_")]
        shown = "" if default is None or "(default" in text else f" (default: {default})"
        parser.add_argument(flag, type=kind, metavar=metavar, default=default, help=text + shown)
    parser.add_argument(
        "--flip",
        action=argparse.BooleanOptionalAction,
        default=defaults["flip"],
        help="mirror images left to right (default: what suits the data set)",
    )
    if study["dataset"] == FOLDER:
        _add_folder_flags(parser, defaults)
    chosen = study | vars(parser.parse_args(arguments))
    if chosen["space"] != full_name(str(defaults["space"])):
        chosen["ranges"] = {}  # the study's are meant for its own space
    return Search(**chosen)


def _add_folder_flags(parser: Parser, defaults: dict[str, Any]) -> None:
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="N",
        default=defaults["image_size"],
        help="bring images to NxN pixels (default: what suits most of them)",
    )
    parser.add_argument(
        "--skip-bad-images",
        action="store_true",
        default=defaults["skip_bad_images"],
        help="leave out images that cannot be read, instead of ending",
    )


def _workers(text: str) -> int | None:
    if text == "auto":
        return None
    try:
        return int(text)
    except ValueError:
        raise UserError(f"--workers is {text}; write a number, or auto") from None
