"""A data set that is a folder of images, decoded into the cache.

The test part is decoded when it is asked for. Before that its images are compared with all others, to find copies.
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from search.data import FOLDER, TrainOrTest, cache
from search.data.cache import CachedImages, Contents
from search.data.copies import groups, saved_anew
from search.data.image_size import default_size
from search.data.layout import number_of_images, shown, some
from search.data.listing import FEWEST_IMAGES, Found, Listing, find_images, told, too_few
from search.data.parallel_decoding import decode_all
from search.data.plain import of_plain
from search.data.resources import available_disk, available_memory, check_disk, memory_warning
from search.errors import UserError

logger = logging.getLogger(__name__)

VERSION = 3  # of how images are found and decoded; another one makes caches stale


def load(part: TrainOrTest, root: Path, image_size: int | None = None, skip_bad_images: bool = False) -> CachedImages:
    """The images of one part, image_size pixels square; by default a size that suits the train part.

    One channel where all train images are grey, else three; the test part follows the train part in both.

    Raises UserError for a folder that does not hold at least two classes with enough images each, and, unless these
    are to be skipped, for images that cannot be read and for those that are in more than one class. It tells of all
    that is wrong with the folder at once.
    """
    found = find_images(root, saved_anew)
    if part == "train":
        for remark in found.remarks:
            logger.info(remark)
        return _load_train(found, image_size, skip_bad_images)
    train = _load_train(found, image_size, skip_bad_images)
    _, channels, size, _ = np.load(train.images, mmap_mode="r").shape
    entry = _decoded(found.test, "test", size, channels)
    _require_good(found, entry, "test", skip_bad_images)
    return entry


def _load_train(found: Found, image_size: int | None, skip_bad_images: bool) -> CachedImages:
    if not found.train.names:
        raise UserError(
            told(found.train.root, [*found.problems, *_no_images(found.empty), *_contradict(found.contradictions)])
        )
    entry = _decoded(found.train, "train", image_size or default_size(found.train.paths), None)
    _require_good(found, entry, "train", skip_bad_images)
    return entry


def _decoded(listing: Listing, part: TrainOrTest, size: int, channels: int | None) -> CachedImages:
    key = f"{part}-{_stamp(listing, size, channels)}"
    return cache.find(FOLDER, key) or _decode_into_cache(listing, size, channels, key)


def _require_good(found: Found, entry: CachedImages, part: TrainOrTest, skip_bad_images: bool) -> None:
    """Raises UserError with all that is wrong; or tells what is left out."""
    problems = list(found.problems)
    if not skip_bad_images:
        problems += [*_no_images(found.empty), *_cannot_read(entry.bad, found.train.root)]
        problems += _contradict(found.contradictions)
    else:
        for what in _left_out(found, entry) if part == "train" else _unreadable(entry):
            logger.info(f"skipped {what}")
    if not problems:
        counts = np.bincount(np.load(entry.labels), minlength=len(entry.classes)).tolist()
        problems = too_few(dict(zip(entry.classes, counts, strict=True)), FEWEST_IMAGES[part])
        problems = problems or [*_none_left(entry), *_one_picture(entry, part)]
    if problems:
        raise UserError(told(found.train.root, problems))


def _none_left(entry: CachedImages) -> Iterator[str]:
    """What is wrong with classes of which a folder's own division has left no image to train or to validate on."""
    if entry.first_val is None:
        return
    labels = np.load(entry.labels)
    for part, there in (("train", labels[: entry.first_val]), ("validate", labels[entry.first_val :])):
        if missing := [entry.classes[label] for label in sorted(set(range(len(entry.classes))) - set(there.tolist()))]:
            yield (
                f"{'class' if len(missing) == 1 else 'classes'} {some(missing)}: no image is left to {part} with, "
                f"since those there are copies of others, in two classes, or cannot be read; add some"
            )


def _one_picture(entry: CachedImages, part: TrainOrTest) -> Iterator[str]:
    """What is wrong with classes whose images are all copies of one: it cannot both train and validate."""
    if part == "test" or entry.first_val is not None:
        return
    labels = np.load(entry.labels)
    counts = np.bincount(labels)
    for same in entry.copies:
        label = labels[same[0]]
        if len(same) == counts[label]:
            yield (
                f"class {entry.classes[label]!r} has one picture alone to train and to validate on, "
                f"{len(same)} times; add others, or remove its folder"
            )


def _left_out(found: Found, entry: CachedImages) -> Iterator[str]:
    yield from _unreadable(entry)
    if found.contradictions:
        yield f"{number_of_images(len(found.contradictions))} in more than one class"
    if found.empty:
        yield f"folders without images: {some(found.empty)}"


def _unreadable(entry: CachedImages) -> Iterator[str]:
    if entry.bad:
        yield f"{number_of_images(len(entry.bad))} that cannot be read, the first: {entry.bad[0]}"


def _stamp(listing: Listing, size: int, channels: int | None) -> str:
    """Changes when a file, the size or the channels change."""
    state = hashlib.sha256(repr((VERSION, str(listing.root.resolve()), listing.classes, size, channels)).encode())
    for name, path in zip(listing.names, listing.paths, strict=True):
        try:
            status = os.stat(path)
        except OSError:  # a link to nothing; decoding tells of it
            continue
        state.update(repr((name, status.st_size, status.st_mtime_ns)).encode())
    return state.hexdigest()[:16]


def _decode_into_cache(listing: Listing, size: int, channels: int | None, key: str) -> CachedImages:
    """Decode all images of a part. Raises UserError where the disk has no room for them, or none can be read."""

    def fill(scratch: Path) -> Contents:
        _announce(listing, size)
        reasons = decode_all(listing.paths, size, channels, scratch / "images.npy")
        good = np.array([reason is None for reason in reasons])
        if not good.any():
            raise UserError(f"no image in {listing.root} can be read, such as {listing.names[0]}; replace them")
        bad = [f"{shown(name)}: {reason}" for name, reason in zip(listing.names, reasons, strict=True) if reason]
        validates = np.flatnonzero(listing.validates[good])
        if listing.validates.any() and not len(validates):
            first = listing.names[int(listing.validates.argmax())]
            raise UserError(f"no image in {listing.root} that validates can be read, such as {first}; replace them")
        first_val = int(validates[0]) if len(validates) else None
        copies = groups(listing.contents[good].tolist())
        names = [shown(name) for name, reason in zip(listing.names, reasons, strict=True) if reason is None]
        for remark in of_plain(np.load(scratch / "images.npy", mmap_mode="r"), names):
            logger.info(remark)
        return Contents(listing.labels[good], listing.classes, bad, first_val, copies, names)

    return cache.store(FOLDER, key, fill)


def _announce(listing: Listing, size: int) -> None:
    """Before all images are decoded: what may be slow. Raises UserError where the disk has no room."""
    count = len(listing.names)
    check_disk(count, size, available_disk(cache.cache_folder()))
    warning = memory_warning(count, size, available_memory())
    if warning is not None:
        logger.info(warning)


def _no_images(folders: Sequence[str]) -> list[str]:
    """What is wrong where class folders have no images."""
    if not folders:
        return []
    which = f"the folder {shown(folders[0])} has" if len(folders) == 1 else f"the folders {some(folders)} have"
    return [f"{which} no images; add some or remove it, or pass --skip-bad-images to leave it out"]


def _cannot_read(bad: Sequence[str], root: Path) -> list[str]:
    """What is wrong where images cannot be read. bad: each as `file: reason`."""
    if not bad:
        return []
    if len(bad) == 1:
        return [f"cannot read {root}/{bad[0]}; repair or remove it, or pass --skip-bad-images"]
    return [f"cannot read {len(bad):,} images in {root}, {some(bad)}; repair or remove them, or pass --skip-bad-images"]


def _contradict(names: Sequence[str]) -> list[str]:
    """What is wrong where the same image is in more than one class."""
    if not names:
        return []
    return [
        f"{number_of_images(len(names))} are the same as one of another class, {some(names)}; "
        f"leave each in its own class alone, or pass --skip-bad-images to leave them all out"
    ]
