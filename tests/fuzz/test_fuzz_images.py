"""Files in a folder of images: random, truncated, damaged, of odd modes; and class folders of any name."""

import io
import os

import numpy as np
import pytest
from fuzzing import fuzzed, tried
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from search.data.decoding import BadImage, decode, shorter_side
from search.data.folder import load
from search.data.tensors import prepare
from search.errors import UserError

MODES = {"1": "png", "L": "png", "LA": "png", "P": "gif", "RGB": "jpeg", "RGBA": "png", "CMYK": "jpeg", "I": "tiff",
         "I;16": "png", "F": "tiff", "LAB": "tiff", "YCbCr": "jpeg", "HSV": None, "RGBX": None}  # fmt: skip
FORMATS = ["png", "gif", "jpeg", "tiff", "bmp", "webp"]


@st.composite
def images(draw):
    """Bytes of a file that is an image, was one, or never was."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=64) | st.sampled_from([b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"BM"]))
    mode = draw(st.sampled_from(sorted(MODES)))
    size = draw(st.sampled_from([(1, 1), (1, 300), (8, 8), (17, 23), (2000, 3)]))
    image = Image.new(mode, size)
    stream = io.BytesIO()
    suffix = draw(st.sampled_from([MODES[mode], *FORMATS]))
    try:
        image.save(stream, suffix or "png")
    except (OSError, ValueError, KeyError):  # this format has no such mode
        Image.new("RGB", size).save(stream, suffix or "png")
    content = stream.getvalue()
    change = draw(st.sampled_from(["none", "cut", "damaged"]))
    if change == "cut":
        return content[: draw(st.integers(0, len(content)))]
    if change == "damaged":
        at = draw(st.integers(0, len(content) - 1))
        return content[:at] + draw(st.binary(min_size=1, max_size=4)) + content[at + 1 :]
    return content


@fuzzed
@given(content=images(), size=st.sampled_from([8, 28, 224]))
def test_an_image_is_decoded_or_bad(tmp_path, content, size):
    path = tmp_path / "image.png"
    path.write_bytes(content)

    def call():
        try:
            pixels = decode(str(path), size)
        except BadImage:
            return
        assert pixels.dtype == np.uint8
        assert pixels.shape in ((1, size, size), (3, size, size))
        assert shorter_side(str(path)) >= 1

    tried(call)


names = st.text(st.characters(exclude_characters="\0/", exclude_categories=[]), min_size=1, max_size=60)


@pytest.fixture
def own(tmp_path, own_cache):
    return tmp_path


@fuzzed
@given(classes=st.lists(names, min_size=1, max_size=3, unique=True), odd=st.lists(images(), max_size=2), data=st.data())
def test_a_folder_is_read_or_told(own, classes, odd, data):
    """Class names among them."""
    home = own / f"{len(list(own.iterdir()))}"
    home.mkdir()
    good = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(good, "png")
    for name in classes:
        try:
            folder = os.path.join(os.fsencode(home), name.encode("utf-8", "surrogateescape"))
            os.mkdir(folder)
        except (UnicodeEncodeError, OSError):  # no folder can have this name
            continue
        for number in range(8):
            with open(os.path.join(folder, b"%d.png" % number), "wb") as file:
                file.write(good.getvalue())
        for content in odd:
            with open(os.path.join(folder, b"odd%d.png" % len(content)), "wb") as file:
                file.write(content)
    skip = data.draw(st.booleans())
    source = tried(lambda: load("train", home, 8, skip_bad_images=skip))
    if not isinstance(source, UserError):
        assert all(name.isprintable() or name for name in source.classes)
        tried(lambda: prepare(source, train_size=None, val_size=None, seed=0, flip=False))
