"""A data set that is a folder of images: which files belong to which class and part, and to what size they are brought.

DIR/train/<class>/* and DIR/test/<class>/*, or DIR/<class>/*, of which a fifth is then the test part. No file
of the test part is opened before that part is asked for.
"""

import contextlib
import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search.data import FOLDER, TrainOrTest, cache
from search.data.cache import CachedImages, Contents
from search.data.decoding import SIZES, SUFFIXES, BadImage, shorter_side
from search.data.parallel_decoding import decode_all
from search.data.resources import available_disk, available_memory, check_disk, memory_warning
from search.errors import UserError

logger = logging.getLogger(__name__)

TEST_SHARE = 0.2  # of each class, where the folder is undivided
FEWEST_IMAGES = {"train": 4, "test": 1}  # of each class
SAMPLE = 500  # images looked at to choose a size
VERSION = 1  # of how images are found and decoded; another one makes caches stale


@dataclass(frozen=True)
class Listing:
    """The images of one part, sorted by class and name."""

    root: Path
    classes: tuple[str, ...]
    names: list[str]  # of the image files: paths below `root`, with `/`
    labels: np.ndarray  # int64 (n,)
    others: list[str]  # files in class folders that are no images, likewise

    @property
    def paths(self) -> list[str]:
        """Where the images are."""
        return [os.path.join(self.root, name) for name in self.names]


def load(part: TrainOrTest, root: Path, image_size: int | None = None, skip_bad_images: bool = False) -> CachedImages:
    """The images of one part, image_size pixels square; by default a size that suits the train part.

    One channel where all train images are grey, else three; the test part follows the train part in both.

    Raises UserError for a folder that does not hold at least two classes with enough images each, and for
    images that cannot be read, unless these are to be skipped.
    """
    listing = find_images(part, root)
    channels = None
    if part == "test":
        train = load("train", root, image_size, skip_bad_images)
        _, channels, image_size, _ = np.load(train.images, mmap_mode="r").shape
    size = image_size or _default_size(listing)
    key = f"{part}-{_stamp(listing, size, channels)}"
    entry = cache.find(FOLDER, key) or _decode_into_cache(listing, size, channels, key)
    if entry.bad and not skip_bad_images:
        raise UserError(_cannot_read(entry.bad, root))
    if entry.bad:
        logger.info(_skipped(entry.bad))
        _require_enough_left(entry, part)
    return entry


def find_images(part: TrainOrTest, root: Path) -> Listing:
    """The images of one part. Reads the names of files, not the files. Raises UserError."""
    if not os.path.isdir(root):
        raise UserError(f"there is no folder {root}; point --data-root at one that has a folder for each class")
    try:
        if _is_divided(root):
            _compare_classes(root)
            classes, others = _scan(root, f"{part}/")
            _require_enough(classes, root / part, FEWEST_IMAGES[part])
        else:
            classes, others = _scan(root, "")
            _require_enough(classes, root, sum(FEWEST_IMAGES.values()))
            classes = {name: _files_of_part(files, part) for name, files in classes.items()}
    except OSError as error:
        raise UserError(f"cannot read {error.filename}: {error.strerror}; make it readable") from error
    labels = np.repeat(np.arange(len(classes)), [len(files) for files in classes.values()])
    names = [name for files in classes.values() for name in files]
    return Listing(root, tuple(map(_printable, classes)), names, labels, others)


def choose_size(shorter_sides: Sequence[int]) -> int:
    """A size in pixels that does not enlarge the typical image.

    Where all images have the same shorter side, of 8 to 224 pixels, that one: nothing is lost. Else their
    median, rounded down to a size that pools well.
    """
    lowest, median = min(shorter_sides), int(np.median(shorter_sides))
    if lowest == max(shorter_sides) and SIZES[0] <= lowest <= SIZES[-1]:
        return lowest
    return max([size for size in SIZES if size <= median], default=SIZES[0])


def _is_divided(root: Path) -> bool:
    """Whether there is train/ and test/. Raises UserError where there is one of them.

    One folder of such a name may as well be a class, of locomotives perhaps: then it has no folders inside.
    """
    halves = [name for name in ("train", "test") if (root / name).is_dir()]
    if len(halves) == 1 and _folders(root / halves[0]):
        (have,) = halves
        missing = "test" if have == "train" else "train"
        raise UserError(
            f"{root} has a folder {have} with class folders, and no folder {missing}; add one with the same "
            f"classes, or pass --data-root {root / have} to have a fifth of each class set aside as the test part"
        )
    return len(halves) == 2


def _compare_classes(root: Path) -> None:
    """Raise UserError where train/ and test/ have different class folders."""
    train, test = (set(_folders(root / part)) for part in ("train", "test"))
    differences = [f"{name!r} is in train alone" for name in sorted(train - test)]
    differences += [f"{name!r} is in test alone" for name in sorted(test - train)]
    if differences:
        more = f", and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise UserError(
            f"train and test in {root} differ in their classes: {', '.join(differences[:3])}{more}; "
            f"give both the same class folders"
        )


def _scan(root: Path, home: str) -> tuple[dict[str, list[str]], list[str]]:
    """Sorted class -> sorted image files, and other files, as paths below `root`; classes are folders in `home`.

    Raises UserError for an image in no class folder, or in a folder inside one.
    """
    loose = next((name for name in _files(root / home) if _is_image(name)), None)
    folders = _folders(root / home)
    if loose is not None:
        raise UserError(f"the image {root / home / loose} is in no class folder; move it into the folder of its class")
    classes: dict[str, list[str]] = {}
    others: list[str] = []
    for folder in folders:
        files = [f"{home}{folder}/{name}" for name in _files(root / home / folder)]
        classes[folder] = [name for name in files if _is_image(name)]
        others += [name for name in files if not _is_image(name)]
        _refuse_nested(root / home / folder)
    return classes, others


def _refuse_nested(folder: Path) -> None:
    """Raise UserError where a folder inside a class folder holds images."""
    for name in _folders(folder):
        for path, _, files in os.walk(folder / name):
            if any(_is_image(file) for file in files):
                raise UserError(f"the folder {path} inside a class holds images; move them up into {folder}")


def _require_enough(classes: dict[str, list[str]], home: Path, fewest: int) -> None:
    """Raise UserError unless there are two classes or more, each with `fewest` images or more."""
    if not any(classes.values()):
        raise UserError(f"there are no images in {home}; give each class a folder of its own with its images")
    if len(classes) == 1:
        raise UserError(f"{home} has one class folder alone, {next(iter(classes))!r}; add one for each other class")
    for name, files in classes.items():
        if len(files) < fewest:
            raise UserError(_too_few(name, len(files), fewest))


def _too_few(name: str, count: int, fewest: int) -> str:
    return (
        f"class {name!r} has {_number_of_images(count)}, too few to split; "
        f"add some until there are {fewest}, or remove the class folder"
    )


def _files_of_part(files: list[str], part: TrainOrTest) -> list[str]:
    """The files of a class that are in `part`: the fifth with the lowest hashes is the test part.

    So a file stays where it was when others come or go, but for a few at the border.
    """
    by_hash = sorted(files, key=lambda name: hashlib.sha256(b"test part" + os.fsencode(name)).digest())
    test = set(by_hash[: max(FEWEST_IMAGES["test"], round(TEST_SHARE * len(files)))])
    return [name for name in files if (name in test) == (part == "test")]


def _default_size(listing: Listing) -> int:
    """The size for a seeded sample of images; prints it. Raises UserError where none of them can be read."""
    paths = listing.paths
    chosen = np.random.default_rng(0).permutation(len(paths))[:SAMPLE]
    sides = []
    for number in chosen:
        with contextlib.suppress(BadImage):  # decoding tells of it
            sides.append(shorter_side(paths[number]))
    if not sides:
        raise UserError(
            f"none of {len(chosen)} files can be read as an image, such as {paths[chosen[0]]}; replace them"
        )
    size = choose_size(sides)
    logger.info(
        f"image size {size}: the shorter sides of {len(sides)} images are {min(sides)} to {max(sides)} pixels, "
        f"median {np.median(sides):.0f}; --image-size sets another"
    )
    return size


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
        bad = [f"{_printable(name)}: {reason}" for name, reason in zip(listing.names, reasons, strict=True) if reason]
        return Contents(listing.labels[good], listing.classes, bad)

    return cache.store(FOLDER, key, fill)


def _announce(listing: Listing, size: int) -> None:
    """Before all images are decoded: what may be slow, or is left out. Raises UserError where the disk has no room."""
    count = len(listing.names)
    check_disk(count, size, available_disk(cache.cache_folder()))
    warning = memory_warning(count, size, available_memory())
    if warning is not None:
        logger.info(warning)
    if listing.others:
        logger.info(
            f"left aside: {len(listing.others)} files that are no images, {_printable(listing.others[0])} first"
        )


def _cannot_read(bad: Sequence[str], root: Path) -> str:
    others = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    return f"cannot read {root}/{bad[0]}{others}; repair or remove it, or pass --skip-bad-images"


def _skipped(bad: Sequence[str]) -> str:
    return f"skipped {_number_of_images(len(bad))} that cannot be read, the first: {bad[0]}"


def _require_enough_left(entry: CachedImages, part: TrainOrTest) -> None:
    """Raise UserError where bad images have left a class with too few."""
    counts = np.bincount(np.load(entry.labels), minlength=len(entry.classes))
    for name, left in zip(entry.classes, counts.tolist(), strict=True):
        if left < FEWEST_IMAGES[part]:
            raise UserError(_too_few(name, left, FEWEST_IMAGES[part]))


def _number_of_images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def _folders(home: Path) -> list[str]:
    """Sorted names of folders, hidden ones left out."""
    with os.scandir(home) as entries:
        return sorted(entry.name for entry in entries if _is_folder(entry) and not _is_hidden(entry.name))


def _files(home: Path) -> list[str]:
    """Sorted names of files, hidden ones left out."""
    with os.scandir(home) as entries:
        return sorted(entry.name for entry in entries if not _is_folder(entry) and not _is_hidden(entry.name))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """A link that leads to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES and not _is_hidden(os.path.basename(name))


def _printable(name: str) -> str:
    """A file's name without what cannot be printed: bytes that are no UTF-8."""
    return os.fsencode(name).decode(errors="replace")
