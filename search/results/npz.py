"""Arrays in a .npz file of the run folder. Arrays alone, so that reading them runs nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from search.files import replace_file


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write them in place of what was there. Raises OSError where that fails."""

    def write(scratch: Path) -> None:
        with scratch.open("wb") as file:
            np.savez_compressed(file, **arrays)

    replace_file(path, write)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All of them, by name; none where there is no such file or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    except Exception:  # a flipped bit may come out of zipfile, of zlib, or of the parser of an array's header
        return {}
