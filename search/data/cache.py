"""The image cache: decoded images as files that all workers map, written once and found again at the next start."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search.errors import UserError

CHUNK = 4096  # images at a time, where all would need too much memory


@dataclass(frozen=True)
class CachedImages:
    """One part of a data set as files."""

    name: str  # of the data set
    images: Path  # uint8 (n, c, h, w)
    labels: Path  # int64 (n,)
    classes: tuple[str, ...]
    fingerprint: str  # of images and labels
    bad: tuple[str, ...] = ()  # images that could not be read and were left out, each as `file: reason`


@dataclass(frozen=True)
class Contents:
    """What goes into the cache beside `images.npy`."""

    labels: np.ndarray  # int64 (n,)
    classes: Sequence[str]
    bad: Sequence[str] = ()  # images left out, each as `file: reason`


def cache_folder() -> Path:
    """`gapsearch` in the user's cache folder ($XDG_CACHE_HOME, or ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gapsearch"


def find(name: str, key: str) -> CachedImages | None:
    """What was stored for the data set `name` under `key`, or None."""
    folder = cache_folder() / f"{name}-{key}"
    if not _is_complete(folder):
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
    """Store a data set under `key`. `fill` writes images.npy into the folder that it is given.

    That folder lies beside the final one and takes its place when it is complete, so nobody sees half of an entry.
    Raises UserError where the cache cannot be written.
    """
    folder = cache_folder() / f"{name}-{key}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent))
        try:
            _add_labels_and_description(scratch, fill(scratch))
            _move(scratch, folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)  # left where something failed, or another process was first
    except OSError as error:
        raise UserError(
            f"cannot write the image cache {folder.parent}: {error.strerror}; set XDG_CACHE_HOME to a folder with space"
        ) from error
    entry = find(name, key)
    assert entry is not None
    return entry


def _add_labels_and_description(folder: Path, contents: Contents) -> None:
    """Write labels.npy and meta.json beside `images.npy`."""
    images = np.load(folder / "images.npy", mmap_mode="r")
    classes = tuple(contents.classes)
    digest = hashlib.sha256(repr((images.shape, classes)).encode())
    for start in range(0, len(images), CHUNK):
        digest.update(np.ascontiguousarray(images[start : start + CHUNK]).data)
    digest.update(np.ascontiguousarray(contents.labels).data)
    np.save(folder / "labels.npy", contents.labels)
    meta = {"classes": list(classes), "fingerprint": digest.hexdigest()[:16], "bad": list(contents.bad)}
    (folder / "meta.json").write_text(json.dumps(meta))


def _move(scratch: Path, folder: Path) -> None:
    """Give an entry its final place; where another process was first, that one's stays, which is the same."""
    try:
        scratch.rename(folder)
    except OSError:
        if not _is_complete(folder):
            raise


def _is_complete(folder: Path) -> bool:
    return (folder / "meta.json").is_file()
