"""Images in files and in memory become the same pixels."""

from pathlib import Path

import numpy as np
import pytest
from image_files import COLOURS, refusal, save
from PIL import Image

from search.data import pixels
from search.data.decoding import decode, to_grey
from search.data.pixels import pixels_of

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)


def all_pixels(images, size=8, channels=3):
    return np.concatenate(list(pixels_of(images, size, channels)))


def test_a_file_an_image_and_an_array_give_what_the_search_sees(tmp_path):
    path = save(tmp_path / "a.png", Image.fromarray(COLOUR))
    found = all_pixels([str(path), path, Image.open(path), COLOUR])
    assert found.shape == (4, 3, 8, 8)
    assert (found == decode(str(path), 8)).all()


def test_an_image_is_turned_as_its_file_is(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "a.png", Image.fromarray(COLOUR), exif=exif)
    by_file, by_image = all_pixels([path, Image.open(path)])
    assert (by_file == by_image).all()
    assert (by_file != all_pixels([COLOUR])[0]).any()


def test_channels_follow_the_network():
    grey = COLOUR[:8, :8, 0]
    assert (all_pixels([grey], channels=3) == grey).all()
    assert (all_pixels([grey[..., None]], channels=1) == grey).all()
    colour = all_pixels([COLOUR], channels=3)
    assert (all_pixels([COLOUR], channels=1) == to_grey(colour)).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "HSV", "I;16"])
def test_images_of_any_mode(mode):
    image = Image.new("L", (8, 8), 255).convert(mode) if mode != "I;16" else Image.new(mode, (8, 8), 65535)
    assert (all_pixels([image]) == 255).all()


def test_what_is_transparent_is_white():
    assert (all_pixels([np.zeros((8, 8, 4), np.uint8)]) == 255).all()
    assert (all_pixels([np.zeros((8, 8, 2), np.uint8)], channels=1) == 255).all()


def test_one_array_of_all_images_and_a_generator():
    stack = RNG.integers(0, 256, (5, 8, 8), dtype=np.uint8)
    assert (all_pixels(stack, channels=1)[:, 0] == stack).all()
    assert (all_pixels(np.stack([COLOUR, COLOUR])) == all_pixels(COLOUR for _ in range(2))).all()


def test_batches_in_order(monkeypatch):
    monkeypatch.setattr(pixels, "AT_A_TIME", 2)
    stack = RNG.integers(0, 256, (5, 8, 8), dtype=np.uint8)
    batches = list(pixels_of(stack, 8, 1))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert (np.concatenate(batches)[:, 0] == stack).all()
    assert list(pixels_of([], 8, 1)) == []


@pytest.mark.parametrize("single", ["a.png", Path("a.png"), Image.new("L", (8, 8)), COLOUR, COLOUR[..., 0]])
def test_a_single_image_is_not_taken_for_several(single):
    assert refusal(lambda: all_pixels(single)) == "predict takes several images; put a single one into a list"


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (COLOUR / 255, "cannot use image 1: an array of float64; give one of uint8, from 0 to 255"),
        (np.moveaxis(COLOUR, 2, 0), "cannot use image 1: an array of the shape (3, 12, 20); give one of height, width"),
        (COLOUR[:0], "cannot use image 1: an array of the shape (0, 20, 3); give one of height, width and at most 4"),
        (COLOUR[0, :, 0], "cannot use image 1: an array of the shape (20,)"),
        (7, "cannot use image 1: a int; give a path, a PIL image or an array of uint8"),
        ("gone.png", "cannot use gone.png: No such file or directory"),
        (Image.new("F", (8, 8)), "cannot use image 1: floating point pixels have no known range"),
    ],
)
def test_what_is_no_image_is_named(image, said):
    assert refusal(lambda: all_pixels([COLOUR, image])).startswith(said)


def test_a_truncated_file_is_named_in_memory_too(tmp_path):
    path = save(tmp_path / "a.png", Image.new("RGB", (90, 90), COLOURS["red"]))
    path.write_bytes(path.read_bytes()[:60])
    assert refusal(lambda: all_pixels([path])).startswith(f"cannot use {path}: ")
    with Image.open(path) as image:
        assert refusal(lambda: all_pixels([image])).startswith("cannot use image 0: ")
