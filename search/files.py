"""Files that outlive faults: replaced as a whole, locked against other processes, cleared of what dead ones left."""

import contextlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 2.0  # to wait for another process without a word
SCRATCH = re.compile(r"\..+\.(\d+)\.tmp")  # what `replace_file` names a scratch file; the group is its process


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` fill a file beside `path`, then move it there; folders on the way are made.

    A reader sees the old content or the new one, never half of it, after a power cut too. Raises OSError where that
    fails; `path` is as it was then, and nothing else is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(scratch)
        sync_file(scratch)
        scratch.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            scratch.unlink()
        if isinstance(error, OSError) and error.filename is None:  # a full disk does not say which
            error.filename = str(path)
        raise
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Have the content of a file on the disk. Raises OSError where it cannot be put there."""
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the file system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the scratch files directly in `folder` whose processes were killed in the middle of `replace_file`.

    For the start of a search: a file with the number of this process counts as left by an earlier one.
    """
    with contextlib.suppress(OSError):  # no such folder, or not ours: a leftover does no harm
        for path in folder.iterdir():
            scratch = SCRATCH.fullmatch(path.name)
            if scratch is not None and not _is_another_process(int(scratch[1])):
                path.unlink(missing_ok=True)


def set_aside(path: Path) -> Path:
    """Rename a damaged file to `NAME.damaged`, in place of one set aside before. Returns where it is now.

    Raises OSError where it cannot be renamed.
    """
    return path.replace(path.with_name(f"{path.name}.damaged"))


@contextlib.contextmanager
def locked(path: Path, doing: str, go_on: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file `path` meanwhile; its folder is made.

    Where another process holds it for more than 2 s, a line says that this one waits for it, and what it is `doing`.
    The system lifts the lock of a process that is killed. Raises OSError where the file cannot be made.

    go_on: called every 2 s while this process waits; may raise.
    """
    import filelock  # takes a moment, which --help need not wait for

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=PATIENCE_SECONDS)
    except filelock.Timeout:
        logger.info(f"waiting for another process that {doing}")
        while not lock.is_locked:
            go_on()
            with contextlib.suppress(filelock.Timeout):
                lock.acquire(timeout=PATIENCE_SECONDS)
    try:
        yield
    finally:
        lock.release()


def _is_another_process(number: int) -> bool:
    """Whether that process lives and is not this one."""
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return number != os.getpid()
