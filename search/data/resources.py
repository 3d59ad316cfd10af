"""What the machine has free, memory and disk, and whether a set of images fits into it."""

import contextlib
import math
import shutil
from pathlib import Path

from search.data.decoding import SIZES
from search.errors import UserError


def available_memory() -> float:
    """Bytes that this process may still take, by Linux's account; infinity where there is none."""
    limits = [math.inf]
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        limits.append(1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")))
    with contextlib.suppress(OSError, ValueError):  # a container's limit; "max" where it has none
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(limits)


def available_disk(folder: Path) -> float:
    """Bytes free on the disk where `folder` is, or will be."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def check_disk(count: int, size: int, free: float) -> None:
    """Raise UserError where so many colour images, `size` pixels square, exceed the free bytes of the cache's disk."""
    if _bytes_of(count, size) > free:
        raise UserError(
            f"{_needed(count, size)}, and the disk of the image cache has {_gigabytes(free)} free; "
            f"{_remedy(count, free)}, or set XDG_CACHE_HOME to a folder on a larger disk"
        )


def memory_warning(count: int, size: int, free: float) -> str | None:
    """A sentence where so many colour images, `size` pixels square, exceed the free bytes of memory, else None.

    Images are mapped, not loaded: a set larger than memory is read from the disk again and again, which is slow
    but works.
    """
    if _bytes_of(count, size) <= free:
        return None
    return (
        f"{_needed(count, size)}, more than the {_gigabytes(free)} of free memory: "
        f"every epoch will read from the disk; to avoid that, {_remedy(count, free)}"
    )


def _bytes_of(count: int, size: int) -> int:
    return 3 * count * size**2


def _needed(count: int, size: int) -> str:
    return f"{count:,} images of {size}x{size}x3 take up to {_gigabytes(_bytes_of(count, size))}"


def _remedy(count: int, available: float) -> str:
    fitting = [size for size in SIZES if _bytes_of(count, size) <= available]
    return f"pass --image-size {fitting[-1]} or less" if fitting else "use fewer images"


def _gigabytes(amount: float) -> str:
    return f"{amount / 1e9:,.1f} GB"
