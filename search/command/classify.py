"""What `gapsearch predict` writes where: rows into a file or to stdout, all else to stderr."""

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from search.data.layout import some
from search.errors import UserError, one_line
from search.files import replace_file
from search.results.best_yaml import Best
from search.use.predict import Predicted, find_files, predict


def classify(best: Best, places: Sequence[Path], out: Path | None) -> int:
    """Classify the images in `places` into `out`, or to stdout; returns the exit code.

    Raises UserError for what is not there, and OSError where `out` cannot be written.
    """
    files = find_files(places, best.data["classes"])
    if out is not None and out.resolve() in [Path(path).resolve() for path in files.paths]:
        raise UserError(f"--out {out} is one of the images; name another file")

    def write(target: TextIO) -> Predicted:
        shown = out is not None or not sys.stdout.isatty()  # rows on the same terminal would be torn
        return predict(best, files, target, sys.stderr if shown else io.StringIO())

    predicted = write(sys.stdout) if out is None else _into(out, write)
    lines = [f"skipped {path}: {reason}" for path, reason in predicted.skipped]
    if files.strangers:
        lines.append(f"left out of accuracy and loss, since no class is called so: {some(files.strangers)}")
    lines += predicted.figures()
    if out is not None:
        lines.append(f"written: {out}")
    for line in lines:
        print(one_line(line), file=sys.stderr)
    return 1 if predicted.skipped else 0


def _into(path: Path, write: Callable[[TextIO], Predicted]) -> Predicted:
    """Have `write` fill the file at `path`, which is replaced as a whole; returns what it returns. Raises OSError."""
    returned = []

    def fill(scratch: Path) -> None:
        with open(scratch, "w", encoding="utf-8", newline="") as target:
            returned.append(write(target))

    replace_file(path, fill)
    return returned[0]
