"""How much the image cache holds: a limit, by which the entries that were used least recently go, and emptying it."""

import contextlib
import fcntl
import os
import shutil
from pathlib import Path

from search.data.cache import cache_folder

LIMIT = 20 * 10**9  # bytes

_held: dict[int, int] = {}  # i-nodes of entries that this process uses, and the open files that say so to others


def hold(entry: Path) -> None:
    """Note that this process uses an entry from now on: it counts as used now, and nobody removes it meanwhile."""
    with contextlib.suppress(OSError):  # a cache that may only be read
        os.utime(entry)
        node = os.stat(entry).st_ino
        if node not in _held:
            _held[node] = os.open(entry, os.O_RDONLY)
            fcntl.flock(_held[node], fcntl.LOCK_SH | fcntl.LOCK_NB)


def entries() -> dict[Path, int]:
    """The entries and their sizes in bytes; the one used least recently first."""
    if not cache_folder().is_dir():
        return {}
    found = list[tuple[int, Path, int]]()
    for path in cache_folder().iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process removes it now
            if path.is_dir() and not path.name.startswith("."):
                found.append((path.stat().st_mtime_ns, path, _size(path)))
    return {path: size for _, path, size in sorted(found)}


def make_room(limit: int = LIMIT) -> int:
    """Remove entries that nobody uses, the least recently used first, until `limit` bytes or less are left.

    Returns the bytes that are left.
    """
    sizes = entries()
    left = sum(sizes.values())
    for entry, size in sizes.items():
        if left > limit and _removed(entry):
            left -= size
    return left


def _removed(entry: Path) -> bool:
    """Whether the entry is gone: it stays where a process uses it."""
    try:
        descriptor = os.open(entry, os.O_RDONLY)
    except FileNotFoundError:  # another process was faster
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(entry)
    except FileNotFoundError:  # likewise
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _size(entry: Path) -> int:
    return sum(file.stat().st_size for file in entry.iterdir() if file.is_file())
