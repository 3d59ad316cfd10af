"""Copies of an image in a folder: which are left out, so that none is on two sides of a split, and what is said of it.

Copies in one part stay, and go into one split later. Between folders that divide the images, what is learned from or
chosen by loses its copies of images that are held out: those tell the figures, and stay what they are for everybody.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from search.data.layout import PARTS, some

ORDER = tuple(PARTS)  # what is learned from, what is chosen by, what tells the final figures


@dataclass(frozen=True)
class ListedImage:
    """One file."""

    name: str
    label: str  # its class folder
    part: str  # train, val or test
    content: int  # the number of the first file with the same content
    picture: int  # likewise with the same picture, in whichever size, quality and format


def same_pictures(
    root: Path, images: list[ListedImage], near: Callable[[Sequence[str]], Sequence[Sequence[int]]]
) -> list[ListedImage]:
    """The images, those that `near` finds to show the same picture marked so."""
    names: dict[int, str] = {}
    for image in images:
        names.setdefault(image.content, os.path.join(root, image.name))
    contents = list(names)
    first = {contents[number]: contents[same[0]] for same in near(list(names.values())) for number in same}
    return [replace(image, picture=first.get(image.content, image.content)) for image in images]


def without_leaks(images: list[ListedImage]) -> tuple[list[ListedImage], list[ListedImage]]:
    """Those that stay; and those that are left out, for a later part of `PARTS` has a copy of them."""
    latest: dict[int, int] = defaultdict(int)
    for image in images:
        latest[image.picture] = max(latest[image.picture], ORDER.index(image.part))
    stay = [image for image in images if ORDER.index(image.part) == latest[image.picture]]
    return stay, [image for image in images if ORDER.index(image.part) < latest[image.picture]]


def only_leaks(
    root: Path, parts: Mapping[str, str], images: Sequence[ListedImage], leaks: Sequence[ListedImage]
) -> Iterator[str]:
    """What is wrong where no image of a part would be left."""
    for part in {image.part for image in leaks} - {image.part for image in images}:
        yield (
            f"all images in {root / parts.get(part, '')} that are to {'train' if part == 'train' else 'validate'} are "
            f"copies of those held out from them; give each part images of its own"
        )


def of_leaks(leaks: Sequence[ListedImage]) -> Iterator[str]:
    """Which images are left out."""
    for part, held_out in (("train", "validate or are the test split"), ("val", "are the test split")):
        names = [image.name for image in leaks if image.part == part]
        if names:
            yield (
                f"left out of the images that {'train' if part == 'train' else 'validate'}: {len(names):,} that are "
                f"copies of images that {held_out}, the same or saved anew, {some(names)}"
            )


def of_two_classes(images: Iterable[ListedImage]) -> Iterator[str]:
    """Which pictures are in more than one class, saved anew. None is refused: two views may look as alike."""
    pictures: dict[int, dict[str, str]] = defaultdict(dict)
    for image in images:
        pictures[image.picture].setdefault(image.label, image.name)
    named = [" like ".join(names.values()) for names in pictures.values() if len(names) > 1]
    if named:
        what = "1 picture is" if len(named) == 1 else f"{len(named):,} pictures are"
        yield (
            f"{what} in more than one class, saved anew: {some(named)}; "
            f"look which class is right and remove the others, or one of them counts as a mistake"
        )


def of_copies(images: Iterable[ListedImage]) -> Iterator[str]:
    """How many images are there more than once."""
    pictures = Counter(image.picture for image in images)
    contents = Counter(image.content for image in images)
    copied = sum(count - 1 for count in pictures.values())
    anew = copied - sum(count - 1 for count in contents.values())
    if copied:
        copies = "1 image is a copy of another" if copied == 1 else f"{copied:,} images are copies of others"
        which = f", {anew:,} of them saved anew in another size, quality or format" if anew else ""
        yield f"{copies}{which}; copies are kept in one split"
