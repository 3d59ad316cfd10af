"""The run folder of a search: made, and held by one search at a time."""

from pathlib import Path

import filelock

from search.errors import UserError


def make_folder(folder: Path) -> None:
    """Make the run folder. Raises UserError where it cannot be written."""
    try:
        for name in (".", "artifacts", "checkpoints", "losses", "weights"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / ".lock").touch()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        cause = getattr(error, "strerror", None) or error
        raise UserError(f"cannot write to --out {folder}: {cause}; name another folder") from error


def lock(folder: Path) -> filelock.AcquireReturnProxy:
    """Keep other searches out of a run folder, until the end of a with statement. Raises UserError where one is in."""
    held = filelock.FileLock(folder / ".lock")
    try:
        return held.acquire(timeout=0)
    except filelock.Timeout:
        raise UserError(
            f"another search is running in {folder}; wait for it, or name another folder with --out"
        ) from None
