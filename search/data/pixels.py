"""Images as a program has them, in files or in memory -> the pixels that a network was trained on."""

import itertools
import os
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
from PIL import Image

from search.data.decoding import BadImage, decode, square_of, with_channels
from search.errors import UserError

OneImage: TypeAlias = "str | os.PathLike[str] | Image.Image | np.ndarray"
AT_A_TIME = 128  # images
CHANNELS = (1, 2, 3, 4)  # of an array: grey or colours, with transparency or without


def pixels_of(images: Iterable[OneImage], size: int, channels: int) -> Iterator[np.ndarray]:
    """The central squares of the images, decoded as for a search: uint8 (k, channels, size, size), a batch at a time.

    images: paths, PIL images, or arrays of uint8 (h, w) or (h, w, c); an array (n, h, w) or (n, h, w, c) is n of them.
    channels: 1 or 3.

    Raises UserError for one that cannot be used, named by its path or its place, and for a single one.
    """
    if isinstance(images, str | os.PathLike | Image.Image) or (isinstance(images, np.ndarray) and _is_single(images)):
        raise UserError("predict takes several images; put a single one into a list")
    numbered = enumerate(images)
    while batch := list(itertools.islice(numbered, AT_A_TIME)):
        yield np.stack([with_channels(_square(image, number, size), channels) for number, image in batch])


def _square(image: OneImage, number: int, size: int) -> np.ndarray:
    """As `search.data.decoding.decode` returns it. Raises UserError."""
    name = os.fsdecode(image) if isinstance(image, str | os.PathLike) else f"image {number}"
    try:
        if isinstance(image, str | os.PathLike):
            return decode(os.fspath(image), size)
        if isinstance(image, np.ndarray):
            return square_of(_from_array(image), size)
        if isinstance(image, Image.Image):
            return square_of(image, size)
        raise BadImage(f"a {type(image).__name__}; give a path, a PIL image or an array of uint8")
    except Exception as error:  # decoders fed with garbage raise nearly anything
        raise UserError(f"cannot use {name}: {error}") from error


def _from_array(pixels: np.ndarray) -> Image.Image:
    """Raises BadImage."""
    if pixels.dtype != np.uint8:
        raise BadImage(f"an array of {pixels.dtype}; give one of uint8, from 0 to 255")
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in CHANNELS)) or 0 in pixels.shape:
        raise BadImage(f"an array of the shape {pixels.shape}; give one of height, width and at most 4 channels")
    return Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)


def _is_single(pixels: np.ndarray) -> bool:
    """Whether an array is one image: n grey ones as narrow as that would be a rarity."""
    return pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in CHANNELS)
