"""Images as files that every worker maps: written once under a stamp, found again at the next start."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from search.errors import UserError

Part = Literal["train", "test"]

CHUNK = 4096  # images at a time, where all would need too much memory


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
