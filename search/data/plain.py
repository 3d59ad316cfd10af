"""Whether decoded images show anything: white that is drawn on nothing does not, nor small values in 16-bit files."""

from collections.abc import Iterator, Sequence

import numpy as np

from search.data.cache import CHUNK
from search.data.layout import number_of_images, some

DARK = 66  # of 255: 14-bit values in 16-bit files reach 64, and scaling may add to that


def of_plain(images: np.ndarray, names: Sequence[str]) -> Iterator[str]:
    """What is worth a line each about images, uint8 (n, c, h, w), that were read from files with these names."""
    plain, brightest = list[str](), 0
    for start in range(0, len(images), CHUNK):
        chunk = np.asarray(images[start : start + CHUNK])
        highest = chunk.max(axis=(2, 3))
        same = (highest == chunk.min(axis=(2, 3))).all(axis=1)
        plain += [names[start + place] for place in np.flatnonzero(same).tolist()]
        brightest = max(brightest, int(highest.max()))
    if plain:
        verb = "has" if len(plain) == 1 else "have"
        yield (
            f"{number_of_images(len(plain))} of {len(images):,} {verb} one colour alone, {some(plain)}; "
            f"what is transparent became white, and of 16-bit files 65,535 did"
        )
    if brightest <= DARK:
        yield (
            f"the brightest pixel of all {len(images):,} images is {brightest} of 255; "
            f"if they are 16-bit files with values of fewer bits, scale these to 0 to 65,535 first"
        )
