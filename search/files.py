"""Files that are replaced as a whole: a reader sees the old content or the new one, never half of it."""

from collections.abc import Callable
from pathlib import Path


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` fill a file beside `path`, then move it there; folders on the way are made.

    Raises OSError where that fails; `path` is as it was then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.tmp")
    write(scratch)
    scratch.replace(path)
