"""Which files of a folder of images are of which class and part, and what is wrong with it.

DIR/train/<class>/* with DIR/val/<class>/*, DIR/test/<class>/* or both, each used as it stands; or DIR/<class>/*.
Where there is no test folder, a fifth of each class is the test part. Folders inside a class folder belong to it.
"""

import contextlib
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from search.data import TrainOrTest
from search.data.copies import find_copies
from search.data.decoding import BadImage, shorter_side
from search.data.layout import ClassFolders, folders, number_of_images, parts_of, scan, shown, some
from search.data.leaks import (
    ListedImage,
    of_copies,
    of_leaks,
    of_two_classes,
    only_leaks,
    same_pictures,
    without_leaks,
)
from search.errors import UserError

TEST_SHARE = 0.2  # of each class, where there is no test folder
FEWEST_IMAGES = {"train": 4, "val": 1, "test": 1}  # of each class


@dataclass(frozen=True)
class Listing:
    """The images of one part, by class and name; those that train before those of a folder that validates."""

    root: Path
    classes: tuple[str, ...]
    names: list[str]  # of the image files: paths below `root`, with `/`
    labels: np.ndarray  # int64 (n,)
    validates: np.ndarray  # bool (n,): in a folder of images that validate
    contents: np.ndarray  # int64 (n,): the same number for copies of an image

    @property
    def paths(self) -> list[str]:
        """Where the images are."""
        return [os.path.join(self.root, name) for name in self.names]


@dataclass(frozen=True)
class Found:
    """A folder of images."""

    train: Listing
    test: Listing
    problems: list[str]  # what keeps a search from starting, each with its remedy
    contradictions: list[str]  # images that are left out: the same one is in another class too
    empty: list[str]  # class folders that are left out: there are no images in them
    remarks: list[str]  # what is worth a line each

    def part(self, name: TrainOrTest) -> Listing:
        """One of the two."""
        return self.train if name == "train" else self.test


def find_images(root: Path, near: Callable[[Sequence[str]], Sequence[Sequence[int]]] = lambda paths: ()) -> Found:
    """All images below `root`.

    near: of those files, all with different contents, the numbers of the ones that show the same picture, one list for
    each picture. By default none is looked for.

    Copies of an image end up in one part. Where folders divide the images, those that validate or are the test part
    stay as they are, and what is learned from or chosen by loses its copies of them.

    Raises UserError where there are no images, and where a folder cannot be read.
    """
    if not os.path.isdir(root):
        raise UserError(f"there is no folder {root}; name one that has a folder for each class")
    try:
        parts = parts_of(root)
        scanned = {part: scan(root, f"{parts[part]}/") for part in parts} or {"train": scan(root, "")}
        empty = sorted(name for found in scanned.values() for name in found.empty)
        problems = list(_misplaced(root, parts, scanned))
    except OSError as error:
        raise UserError(f"cannot read {error.filename}: {error.strerror}; make it readable") from error
    everything = _all_images(root, scanned)
    problems += _too_few(everything, scanned)
    images, contradictions = _without_contradictions(everything)
    images = same_pictures(root, images, near)
    in_two_classes = list(of_two_classes(images))
    if "test" not in parts:
        problems += _one_picture(images)
        images = _with_a_test_part(images)
    images, leaks = without_leaks(images)
    problems += only_leaks(root, parts, images, leaks)
    classes = sorted({label for found in scanned.values() for label in found.images})
    train, test = (
        _listing(root, classes, [image for image in images if (image.part == "test") == wanted])
        for wanted in (False, True)
    )
    remarks = [*_of_layout(parts, scanned, images), *of_leaks(leaks), *of_copies(images), *in_two_classes]
    return Found(train, test, problems, contradictions, empty, remarks)


def told(root: Path, problems: Sequence[str]) -> str:
    """All that is wrong with a folder in one line. problems: one or more."""
    if len(problems) == 1:
        return problems[0]
    numbered = ". ".join(f"[{number}] {problem}" for number, problem in enumerate(problems, start=1))
    return f"{root} has {len(problems)} problems: {numbered}"


def too_few(counts: Mapping[str, int], fewest: int) -> list[str]:
    """What is wrong with classes that have less than `fewest` images, in a sentence, if there are any."""
    small = [f"{label!r} has {number_of_images(count)}" for label, count in counts.items() if count < fewest]
    if not small:
        return []
    which = f"class {small[0]}" if len(small) == 1 else f"classes {some(small)}"
    folder = "the class folder" if len(small) == 1 else "those class folders"
    return [f"{which}, too few to split; add some until there are {fewest}, or remove {folder}"]


def _misplaced(root: Path, parts: Mapping[str, str], scanned: Mapping[str, ClassFolders]) -> Iterator[str]:
    """What is wrong with where images lie. Raises UserError where there are none at all."""
    _require_class_folders(root, parts, scanned)
    loose = [name for found in scanned.values() for name in found.loose]
    if not loose and not any(files for found in scanned.values() for files in found.images.values()):
        raise UserError(f"there are no images in {root}; give each class a folder of its own with its images")
    if len(loose) == 1:
        yield f"the image {root / loose[0]} is in no class folder; move it into the folder of its class"
    elif loose:
        yield f"{number_of_images(len(loose))} are in no class folder, {some(loose)}; move each into that of its class"
    yield from _different_classes(root, parts, scanned)
    classes = list(scanned["train"].images)
    if len(classes) == 1:
        home = root / parts.get("train", "")
        inner = [repr(name) for name in folders(home / classes[0])]
        instead = f", or name {home / classes[0]} if its folders {some(inner)} are the classes" if inner else ""
        yield f"{home} has one class folder alone, {classes[0]!r}; add one for each other class{instead}"


def _require_class_folders(root: Path, parts: Mapping[str, str], scanned: Mapping[str, ClassFolders]) -> None:
    """Raises UserError for a part that has images without labels alone, as the test images of a competition."""
    for part, name in parts.items():
        found = scanned[part]
        if found.images or not found.loose:
            continue
        what = f"{root / name} has {number_of_images(len(found.loose))} and no class folders, so no labels"
        if part == "train":
            raise UserError(f"{what}; move each image into a folder of its class")
        if len(parts) > 2:
            raise UserError(f"{what}; move {name} out of {root}")
        raise UserError(f"{what}; name {root / parts['train']} to have a fifth of each class set aside instead")


def _different_classes(root: Path, parts: Mapping[str, str], scanned: Mapping[str, ClassFolders]) -> Iterator[str]:
    """What is wrong where parts have different class folders."""
    for part, found in scanned.items():
        pair = ((parts.get("train", ""), scanned["train"], found), (parts.get(part, ""), found, scanned["train"]))
        alone = [
            f"{label!r} is in {name} alone" for name, one, other in pair for label in one.images.keys() - other.images
        ]
        if alone:
            yield (
                f"{pair[0][0]} and {pair[1][0]} in {root} differ in their classes: {some(sorted(alone))}; "
                f"give both the same class folders"
            )


def _all_images(root: Path, scanned: Mapping[str, ClassFolders]) -> list[ListedImage]:
    images = [
        ListedImage(name, label, part, content=0, picture=0)
        for part, found in scanned.items()
        for label, names in found.images.items()
        for name in names
    ]
    contents = list(range(len(images)))
    paths = [os.path.join(root, image.name) for image in images]
    for copies in find_copies(paths):
        with contextlib.suppress(BadImage):  # decoding tells of it
            shorter_side(paths[copies[0]])
            for number in copies:
                contents[number] = copies[0]
    return [replace(image, content=content, picture=content) for image, content in zip(images, contents, strict=True)]


def _without_contradictions(images: list[ListedImage]) -> tuple[list[ListedImage], list[str]]:
    """Those whose content is in one class alone; and the names of the others."""
    labels: dict[int, set[str]] = defaultdict(set)
    for image in images:
        labels[image.content].add(image.label)
    good = [image for image in images if len(labels[image.content]) == 1]
    others = sorted((image for image in images if len(labels[image.content]) > 1), key=lambda image: image.content)
    return good, [image.name for image in others]


def _too_few(images: Iterable[ListedImage], scanned: Mapping[str, ClassFolders]) -> Iterator[str]:
    """What is wrong with small classes; `scanned` says which classes there are."""
    counts = Counter((image.part, image.label) for image in images)
    for part, found in scanned.items():
        fewest = FEWEST_IMAGES[part]
        if part == "train" and "test" not in scanned:
            fewest += FEWEST_IMAGES["test"]
        yield from too_few({label: counts[part, label] for label in found.images}, fewest)


def _one_picture(images: Iterable[ListedImage]) -> Iterator[str]:
    """What is wrong with classes whose images are all copies of one: it cannot train and be a test."""
    pictures: dict[str, list[int]] = defaultdict(list)
    for image in images:
        if image.part == "train":
            pictures[image.label].append(image.picture)
    for label, shown_there in pictures.items():
        if len(shown_there) > 1 and len(set(shown_there)) == 1:
            yield f"class {label!r} has one picture alone, {len(shown_there)} times; add others, or remove its folder"


def _with_a_test_part(images: list[ListedImage]) -> list[ListedImage]:
    """A fifth of the images that train, in each class, becomes the test part: those with the lowest hashes.

    So a file stays where it was when others come or go, but for a few at the border. Copies stay together: those that
    would be more than a fifth all train, unless there is nothing else.
    """
    ordered: dict[str, list[ListedImage]] = defaultdict(list)
    first = {image.picture: image.name for image in reversed(images)}
    for image in sorted(images, key=lambda image: _hash(first[image.picture])):
        if image.part == "train":
            ordered[image.label].append(image)
    test = set[int]()
    for of_class in ordered.values():
        left = max(FEWEST_IMAGES["test"], round(TEST_SHARE * len(of_class)))
        sizes = Counter(image.picture for image in of_class)
        chosen = set[int]()
        for picture, size in sizes.items():
            if size <= left:
                chosen.add(picture)
                left -= size
        test |= chosen or {min(sizes, key=lambda picture: sizes[picture])}
    return [
        replace(image, part="test") if image.part == "train" and image.picture in test else image for image in images
    ]


def _hash(name: str) -> bytes:
    return hashlib.sha256(b"test part" + os.fsencode(name)).digest()


def _listing(root: Path, classes: list[str], images: list[ListedImage]) -> Listing:
    numbers = {label: number for number, label in enumerate(classes)}
    return Listing(
        root,
        tuple(map(shown, classes)),
        [image.name for image in images],
        np.array([numbers[image.label] for image in images], np.int64),
        np.array([image.part == "val" for image in images], bool),
        np.array([image.picture for image in images], np.int64),
    )


def _of_layout(
    parts: Mapping[str, str], scanned: Mapping[str, ClassFolders], images: Iterable[ListedImage]
) -> Iterator[str]:
    """Which images are of which part, and what is left aside."""
    counts = Counter(image.part for image in images)
    if "val" in parts:
        yield f"{number_of_images(counts['val'])} validate: those in the folder {parts['val']}, used as it stands"
    origin = f"those in the folder {parts['test']}" if "test" in parts else "a fifth of each class"
    yield f"test split: {number_of_images(counts['test'])}, {origin}; gapsearch confirm alone opens them"
    nested = [name for found in scanned.values() for name in found.nested]
    if nested:
        inner = some(sorted({os.path.dirname(name) for name in nested}))
        verb = "belongs" if len(nested) == 1 else "belong"
        yield f"{number_of_images(len(nested))} in folders inside a class folder {verb} to that class: {inner}"
    others = [name for found in scanned.values() for name in found.others]
    if others:
        what = "file that is no image" if len(others) == 1 else "files that are no images"
        yield f"left aside: {len(others):,} {what}, {some(others)}"
