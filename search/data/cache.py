"""The image cache: decoded images as files that all workers map, written once and found again at the next start."""

import contextlib
import glob
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np

from search import files
from search.errors import UserError, described
from search.files import locked, sync_file, sync_folder

logger = logging.getLogger(__name__)

NAMES = "names.json"
CHUNK = 4096  # images at a time, where all would need too much memory
HASHED_BYTES = 64 * 2**20  # of images: up to so many, an entry's fingerprint is checked whenever it is found


@dataclass(frozen=True)
class CachedImages:
    """One part of a data set as files."""

    name: str  # of the data set
    images: Path  # uint8 (n, c, h, w)
    labels: Path  # int64 (n,)
    classes: tuple[str, ...]
    fingerprint: str  # of images and labels
    bad: tuple[str, ...] = ()  # images that could not be read and were left out, each as `file: reason`
    first_val: int | None = None  # the images from there on validate, as the data set has it; None where it is ours
    copies: tuple[tuple[int, ...], ...] = ()  # numbers of images that are the same: they belong into one split


@dataclass(frozen=True)
class Contents:
    """What goes into the cache beside `images.npy`."""

    labels: np.ndarray  # int64 (n,)
    classes: Sequence[str]
    bad: Sequence[str] = ()  # images left out, each as `file: reason`
    first_val: int | None = None  # as in `CachedImages`
    copies: Sequence[Sequence[int]] = ()  # likewise
    names: Sequence[str] = ()  # of the files that the images are read from; none where they are in none of their own


def cache_folder() -> Path:
    """`gapsearch` in the user's cache folder ($XDG_CACHE_HOME, or ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gapsearch"


def find(name: str, key: str) -> CachedImages | None:
    """What was stored for the data set `name` under `key`, or None.

    None too where it is damaged; `store` says so then, and puts a new entry in its place.
    """
    with contextlib.suppress(_Damaged):
        return _read(name, _folder(name, key))
    return None


def names_beside(images: Path) -> list[str]:
    """The files that the images in an entry's images.npy were read from, in order; empty where none are known."""
    try:
        names = json.loads(images.with_name(NAMES).read_text())
        count = len(np.load(images, mmap_mode="r"))
    except (OSError, ValueError):
        return []
    sound = isinstance(names, list) and len(names) == count and all(isinstance(name, str) for name in names)
    return names if sound else []


def store(name: str, key: str, fill: Callable[[Path], Contents]) -> CachedImages:
    """Store a data set under `key`. `fill` writes images.npy into the folder that it is given.

    That folder lies beside the final one and takes its place when it is complete, so nobody sees half of an entry.
    Where another process is storing the same, this waits for its entry and returns that.
    Raises UserError where the cache cannot be written.
    """
    folder = _folder(name, key)
    with _as_user_error(), locked(_lock(folder), f"reads the images of {name} into the cache"):
        try:
            entry = _read(name, folder)
        except _Damaged as damage:
            logger.info(f"the image cache {folder} is damaged ({damage}); the images of {name} are read again")
            _remove(folder)
            entry = None
        return entry or _fill(name, folder, fill)


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Be the only process that reads, or downloads, the data set `name` meanwhile. Raises UserError."""
    with contextlib.ExitStack() as stack:
        with _as_user_error():
            stack.enter_context(locked(cache_folder() / f".{name}.lock", f"reads the images of {name}"))
        yield


def remove_leftovers() -> None:
    """Remove what processes left in the cache that were killed while they filled it."""
    files.remove_leftovers(cache_folder())
    for scratch in cache_folder().glob(".*.tmp"):
        folder = cache_folder() / scratch.name.rsplit(".", 2)[0].removeprefix(".")
        # a Timeout is an OSError too: somebody fills that entry now
        with contextlib.suppress(OSError), filelock.FileLock(_lock(folder)).acquire(timeout=0):
            _remove_scratch(folder)


class _Damaged(Exception):
    """An entry is not what was stored. The message says why in a few words."""


def _folder(name: str, key: str) -> Path:
    return cache_folder() / f"{name}-{key}"


def _lock(folder: Path) -> Path:
    """The file that whoever fills this entry holds locked."""
    return folder.with_name(f".{folder.name}.lock")


@contextlib.contextmanager
def _as_user_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write the image cache {cache_folder()}: {error.strerror or described(error)}; "
            f"set XDG_CACHE_HOME to a folder with space"
        ) from error


def _fill(name: str, folder: Path, fill: Callable[[Path], Contents]) -> CachedImages:
    """Make an entry; the lock of `folder` is held."""
    _remove_scratch(folder)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        _add_labels_and_description(scratch, fill(scratch))
        for file in scratch.iterdir():
            sync_file(file)
        sync_folder(scratch)
        scratch.rename(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    sync_folder(folder.parent)
    entry = _read(name, folder)
    assert entry is not None
    return entry


def _remove_scratch(folder: Path) -> None:
    """Remove the scratch folders of an entry whose lock is held: nobody fills them any more."""
    for scratch in folder.parent.glob(f".{glob.escape(folder.name)}.*.tmp"):
        shutil.rmtree(scratch, ignore_errors=True)


def _remove(path: Path) -> None:
    """Remove an entry, whatever it is. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _read(name: str, folder: Path) -> CachedImages | None:
    """The entry in `folder`; None where there is none. Raises _Damaged."""
    if not os.path.lexists(folder):
        return None
    try:
        meta = json.loads((folder / "meta.json").read_text())
        entry = CachedImages(
            name,
            folder / "images.npy",
            folder / "labels.npy",
            tuple(meta["classes"]),
            meta["fingerprint"],
            tuple(meta.get("bad", [])),
            meta.get("first_val"),
            tuple(tuple(map(int, same)) for same in meta.get("copies", [])),
        )
        if not all(isinstance(text, str) for text in (*entry.classes, *entry.bad, entry.fingerprint)):
            raise _Damaged("its meta.json has other types")
        _check_arrays(entry)
    except _Damaged:
        raise
    except Exception as error:  # garbage raises nearly anything
        raise _Damaged(described(error)) from error
    return entry


def _check_arrays(entry: CachedImages) -> None:
    """Raise _Damaged where images and labels do not fit each other, the classes, or (few images) the fingerprint."""
    images = np.lib.format.open_memmap(entry.images, mode="r")
    labels = np.load(entry.labels)
    if images.dtype != np.uint8 or images.ndim != 4 or labels.dtype != np.int64 or labels.shape != images.shape[:1]:
        raise _Damaged("its arrays have other shapes or types")
    if entry.images.stat().st_size != images.offset + images.nbytes:
        raise _Damaged("its images.npy has another length")
    if labels.min() < 0 or labels.max() >= len(entry.classes):
        raise _Damaged("its labels are of no class")
    if images.nbytes <= HASHED_BYTES and _fingerprint(images, labels, entry) != entry.fingerprint:
        raise _Damaged("its fingerprint is another")


def _fingerprint(images: np.ndarray, labels: np.ndarray, about: CachedImages | Contents) -> str:
    state: tuple[object, ...] = (images.shape, tuple(about.classes))
    if about.first_val is not None or about.copies:
        state += (about.first_val, tuple(map(tuple, about.copies)))
    digest = hashlib.sha256(repr(state).encode())
    for start in range(0, len(images), CHUNK):
        digest.update(np.ascontiguousarray(images[start : start + CHUNK]).data)
    digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()[:16]


def _add_labels_and_description(folder: Path, contents: Contents) -> None:
    """Write labels.npy and meta.json beside `images.npy`."""
    images = np.load(folder / "images.npy", mmap_mode="r")
    np.save(folder / "labels.npy", contents.labels)
    meta = {
        "classes": list(contents.classes),
        "fingerprint": _fingerprint(images, contents.labels, contents),
        "bad": list(contents.bad),
        "first_val": contents.first_val,
        "copies": list(contents.copies),
    }
    (folder / "meta.json").write_text(json.dumps(meta))
    if contents.names:
        (folder / NAMES).write_text(json.dumps(list(contents.names)))
