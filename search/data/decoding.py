"""One image file -> a square of uint8 pixels, whatever its format, mode, depth or rotation."""

import os
import stat

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"})
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF")  # by content, not by suffix
SIZES = (8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224)  # pixels: sides of a square that pool well
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R 601, as in Pillow


class BadImage(Exception):
    """An image that cannot be used; the message says why in a few words."""


def decode(path: str, size: int) -> np.ndarray:
    """The central square of an image, uint8 (3, size, size); (1, size, size) where the channels are all equal.

    The shorter side is scaled to `size` and the longer one cropped evenly at both ends. Squeezing instead
    would change shapes, and padding would draw borders from which a network can read the format of a photo,
    which is often that of the camera, and so of the class.

    Raises BadImage for a file that is missing, unreadable, truncated, huge or of no known format.
    """
    try:
        _require_file(path)
        with Image.open(path, formats=FORMATS) as image:
            image.draft(None, (2 * size, 2 * size))  # a JPEG is decoded at 1/2, 1/4 or 1/8 where that is enough
            ImageOps.exif_transpose(image, in_place=True)
            return _square(_grey_or_rgb(image), size)
    except BadImage:
        raise
    except Exception as error:  # decoders fed with garbage raise nearly anything
        raise BadImage(_reason(error)) from error


def square_of(image: Image.Image, size: int) -> np.ndarray:
    """The central square of an open image, as `decode` returns it. Raises BadImage, and whatever its decoder raises."""
    return _square(_grey_or_rgb(ImageOps.exif_transpose(image)), size)


def with_channels(square: np.ndarray, channels: int) -> np.ndarray:
    """What `decode` returns, uint8 (1 or 3, size, size), with 1 or 3 channels."""
    if len(square) == 3 and channels == 1:
        return to_grey(square[None])[0]
    return np.broadcast_to(square, (channels, *square.shape[1:]))


def shorter_side(path: str) -> int:
    """The length of an image's shorter side in pixels, from the file's header alone. Raises BadImage."""
    try:
        _require_file(path)
        with Image.open(path, formats=FORMATS) as image:
            return min(image.size)
    except BadImage:
        raise
    except Exception as error:
        raise BadImage(_reason(error)) from error


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """Colour to grey: uint8 (n, 3, h, w) -> uint8 (n, 1, h, w)."""
    return np.rint(np.einsum("nchw,c->nhw", pixels, LUMA)).astype(np.uint8)[:, None]


def _require_file(path: str) -> None:
    """A pipe would be waited for without end. Raises BadImage, and OSError where there is nothing."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise BadImage("no regular file")


def _grey_or_rgb(image: Image.Image) -> Image.Image:
    """The image in mode L or RGB, full range; what is transparent becomes white. Raises BadImage."""
    if image.mode == "F":
        raise BadImage("floating point pixels have no known range")
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    """The image scaled from 0..65535 to 0..255; Pillow's own conversion clips at 255. Raises BadImage beyond 65535."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise BadImage("32-bit pixels have no known range")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _square(image: Image.Image, size: int) -> np.ndarray:
    """The central square of an image of mode L or RGB, as `decode` returns it."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    if side == size:  # nothing is scaled, so half a pixel would blur
        left, top = left // 1, top // 1
    box = (left, top, left + side, top + side)
    small = image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    pixels = np.asarray(small)
    if pixels.ndim == 2:
        return pixels[None]
    pixels = np.moveaxis(pixels, 2, 0)
    return pixels[:1] if (pixels == pixels[0]).all() else pixels


def _reason(error: Exception) -> str:
    """Why a decoder failed, in a few words."""
    if isinstance(error, UnidentifiedImageError):  # whose own message repeats the path
        return "no image that can be identified"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [""])[0] or type(error).__name__
