"""Read the recorded curve tables: JSON Lines with one run per line, plain or packed by gzip."""

import gzip
import json
from pathlib import Path
from typing import Any


def read_records(path: Path) -> list[dict[str, Any]]:
    """The runs of a table as they were recorded; a run without any epoch is left out.

    Raises ValueError with the file and the line of a record that is no run. Raises OSError if `path` cannot be read.
    """
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    text = gzip.decompress(path.read_bytes()).decode() if packed else path.read_text()
    records = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            lengths = {len(record["history"][name]) for name in ("train_loss", "val_loss")}
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{path}, line {number}: no run with train_loss and val_loss ({error!r})") from None
        if len(lengths) > 1:
            raise ValueError(f"{path}, line {number}: train_loss and val_loss have different lengths")
        if lengths != {0}:
            records.append(record)
    return records
