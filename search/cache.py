"""Images as files that every worker maps: written once under a stamp, found again at the next start."""

import contextlib
import hashlib
import json
import math
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from search.errors import UserError

Part = Literal["train", "test"]

CHUNK = 4096  # images at a time, where all would need too much memory
SIZES = (8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224)  # pixels: what pools well


@dataclass(frozen=True)
class CachedImages:
    """One part of a data set as files: `images` uint8 (n, c, h, w), `labels` int64 (n,).

    bad: images that could not be read and were left out, each as `file: reason`.
    """

    name: str
    images: Path
    labels: Path
    classes: tuple[str, ...]
    fingerprint: str  # of images and labels
    bad: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contents:
    """What goes into the cache beside `images.npy`: labels int64 (n,), class names, images left out."""

    labels: np.ndarray
    classes: Sequence[str]
    bad: Sequence[str] = ()


def cache_folder() -> Path:
    """`gapsearch` in the user's cache folder ($XDG_CACHE_HOME, or ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gapsearch"


def remembered(name: str, key: object, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `measure()` gave when it was last asked on this machine, for the same `key`.

    Timings vary from one moment to the next; what is decided by them should not.
    """
    digest = hashlib.sha256(repr((platform.node(), key)).encode()).hexdigest()[:16]
    path = cache_folder() / f"{name}-{digest}.json"
    with contextlib.suppress(OSError, json.JSONDecodeError):
        return dict(json.loads(path.read_text()))
    measured = measure()
    with contextlib.suppress(OSError):  # then it is measured again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        scratch.write_text(json.dumps(measured))
        scratch.replace(path)
    return measured


def find(name: str, key: str) -> CachedImages | None:
    """What was stored for the data set `name` under `key`, or None."""
    folder = cache_folder() / f"{name}-{key}"
    if not (folder / "meta.json").is_file():
        return None
    meta = json.loads((folder / "meta.json").read_text())
    return CachedImages(
        name,
        folder / "images.npy",
        folder / "labels.npy",
        tuple(meta["classes"]),
        meta["fingerprint"],
        tuple(meta.get("bad", ())),
    )


def store(name: str, key: str, fill: Callable[[Path], Contents]) -> CachedImages:
    """`fill` writes images.npy into the folder it is given, beside the final place; then the folder moves there.

    Nobody ever sees half of an entry. Raises UserError where the cache cannot be written.
    """
    folder = cache_folder() / f"{name}-{key}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent))
        try:
            _complete(scratch, fill(scratch))
            with contextlib.suppress(FileExistsError, IsADirectoryError):
                scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)  # left where it failed, or another process was first
    except OSError as error:
        raise UserError(
            f"cannot write the image cache {folder.parent}: {error.strerror}; set XDG_CACHE_HOME to a folder with space"
        ) from error
    entry = find(name, key)
    assert entry is not None
    return entry


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


def _complete(folder: Path, contents: Contents) -> None:
    """Add labels and description to `images.npy`."""
    images = np.load(folder / "images.npy", mmap_mode="r")
    classes = tuple(contents.classes)
    digest = hashlib.sha256(repr((images.shape, classes)).encode())
    for start in range(0, len(images), CHUNK):
        digest.update(np.ascontiguousarray(images[start : start + CHUNK]).data)
    digest.update(np.ascontiguousarray(contents.labels).data)
    np.save(folder / "labels.npy", contents.labels)
    meta = {"classes": list(classes), "fingerprint": digest.hexdigest()[:16], "bad": list(contents.bad)}
    (folder / "meta.json").write_text(json.dumps(meta))
