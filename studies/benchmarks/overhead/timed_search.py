"""One search on digits, with the dashboard's graphs, notes and pictures or without them. dashboard.py starts this.

    python studies/benchmarks/overhead/timed_search.py with|without FOLDER

It prints the seconds of the search, and those of them that went into the dashboard.
"""

import argparse
import contextlib
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from search.engine import launch
from search.settings import Settings
from search.show.dashboard import Publisher

TIMED = ("attach_curves", "ended", "update", "close")  # the methods of Publisher that a search calls


def seconds_of_search(folder: Path) -> float:
    """Search on digits. What it prints is dropped."""
    settings = Settings(name="digits", dataset="digits", trials=20, epochs=15, out=folder)
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        launch.run_search(settings)
    return time.perf_counter() - began


def timed(method: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """The method; each call adds its seconds to `spent`."""

    def call(*arguments: Any) -> None:  # noqa: ANN401
        began = time.perf_counter()
        method(*arguments)
        spent.append(time.perf_counter() - began)

    return call


def main() -> None:
    """Search once and print both figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dashboard", choices=["with", "without"])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    spent = list[float]()
    with contextlib.ExitStack() as patches:
        if options.dashboard == "without":
            patches.enter_context(mock.patch.object(launch, "Publisher", mock.MagicMock()))
        else:
            for name in TIMED:
                method = timed(getattr(Publisher, name), spent)
                patches.enter_context(mock.patch.object(Publisher, name, method))
        seconds = seconds_of_search(options.folder)
    print(seconds, sum(spent))


if __name__ == "__main__":
    main()
