"""A CSV file that grows by a row as each measurement ends, so that an interrupted benchmark goes on where it was."""

import csv
from collections.abc import Mapping
from pathlib import Path

Row = Mapping[str, str]


def read(path: Path) -> list[Row]:
    """What has been measured so far."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append(path: Path, row: Mapping[str, object]) -> None:
    """One more row, of the same columns as all; numbers with five digits."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow({name: f"{value:.5g}" if isinstance(value, float) else value for name, value in row.items()})
