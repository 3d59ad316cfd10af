"""To how many pixels the images of a folder are brought, where nobody says."""

import contextlib
import logging
from collections.abc import Sequence

import numpy as np

from search.data.decoding import SIZES, BadImage, shorter_side
from search.errors import UserError

logger = logging.getLogger(__name__)

SAMPLE = 500  # images looked at
LARGEST = 64  # pixels


def default_size(paths: Sequence[str]) -> int:
    """The size for a seeded sample of images; prints it. Raises UserError where none of them can be read."""
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
        f"median {np.median(sides):.0f}{_saved(size, sides)}; --image-size sets another"
    )
    return size


def choose_size(shorter_sides: Sequence[int], largest: int = LARGEST) -> int:
    """A size in pixels that does not enlarge the typical image, of `largest` pixels at most.

    Where all images have the same shorter side, of 8 to `largest` pixels, that one: nothing is lost. Else their
    median, rounded down to a size that pools well.
    """
    lowest, median = min(shorter_sides), int(np.median(shorter_sides))
    if lowest == max(shorter_sides) and SIZES[0] <= lowest <= largest:
        return lowest
    return max([size for size in SIZES if size <= min(median, largest)], default=SIZES[0])


def _saved(size: int, sides: Sequence[int]) -> str:
    """What a smaller size than the images allow saves."""
    full = choose_size(sides, SIZES[-1])
    if full == size:
        return ""
    return f"; at {full} an epoch has {(full / size) ** 2:.0f} times the pixels, and details that {size} lacks"
