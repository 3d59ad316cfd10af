"""Images as files that every worker maps: written once under a stamp, found again at the next start."""

import contextlib
import math
import shutil
from pathlib import Path

from search.data.cache import cache_folder
from search.errors import UserError

SIZES = (8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224)  # pixels: what pools well


def room(count: int, size: int, memory: float, disk: float) -> str | None:
    """A note where so many colour images, `size` pixels square, exceed the bytes of memory; None where they fit.

    They are mapped, not loaded: a set larger than memory is read from the disk again and again, which is slow
    but works. Raises UserError where they exceed the bytes of free disk.
    """
    needed = 3 * count * size**2
    what = f"{count:,} images of {size}x{size}x3 take up to {_gigabytes(needed)}"
    if needed > disk:
        raise UserError(
            f"{what}, and the disk of the image cache has {_gigabytes(disk)} free; "
            f"{_remedy(count, disk)}, or set XDG_CACHE_HOME to a folder on a larger disk"
        )
    if needed > memory:
        return (
            f"{what}, more than the {_gigabytes(memory)} of free memory: every epoch will read from the disk; "
            f"to avoid that, {_remedy(count, memory)}"
        )
    return None


def available_memory() -> float:
    """Bytes that this process may still take, by Linux's account; infinity where there is none."""
    limits = [math.inf]
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        limits.append(1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")))
    with contextlib.suppress(OSError, ValueError):  # a container's limit; "max" where it has none
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(limits)


def available_disk() -> float:
    """Bytes free where the cache is, or will be."""
    place = cache_folder().absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _remedy(count: int, available: float) -> str:
    fitting = [size for size in SIZES if 3 * count * size**2 <= available]
    return f"pass --image-size {fitting[-1]} or less" if fitting else "use fewer images"


def _gigabytes(amount: float) -> str:
    return f"{amount / 1e9:,.1f} GB"
