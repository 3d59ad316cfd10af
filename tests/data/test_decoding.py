"""One image file, by pixel values."""

import numpy as np
import pytest
from image_files import COLOURS, save
from PIL import Image

from search.data.decoding import BadImage, decode


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "gif", "jpg"])
def test_formats(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {"quality": 100} if suffix == "jpg" else {}
    path = save(tmp_path / f"a.{suffix}", Image.new("RGB", (20, 16), COLOURS["red"]), **options)
    square = decode(str(path), 16)
    assert square.shape == (3, 16, 16)
    assert square.dtype == np.uint8
    assert np.abs(square.astype(int) - np.reshape(COLOURS["red"], (3, 1, 1))).max() <= 2


def test_content_counts_not_suffix(tmp_path):
    path = save(tmp_path / "a.jpg", Image.new("RGB", (8, 8), COLOURS["blue"]), format="PNG")
    assert decode(str(path), 8)[:, 0, 0].tolist() == list(COLOURS["blue"])


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in COLOURS.values()]
    path = save(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert decode(str(path), 8)[:, 0, 0].tolist() == list(COLOURS["red"])


def test_first_picture_of_a_stereo_camera(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("white", "black")]
    path = save(tmp_path / "a.jpg", frames[0], format="MPO", save_all=True, append_images=frames[1:])
    assert decode(str(path), 8).min() == 255


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_are_scaled(tmp_path, suffix):
    values = np.array([[0, 257], [32800, 65535]], np.uint16).repeat(4, 0).repeat(4, 1)
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(values))
    square = decode(str(path), 8)
    assert square.shape == (1, 8, 8)
    assert square[0, ::7, ::7].tolist() == [[0, 1], [128, 255]]


def test_palette(tmp_path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, *COLOURS["red"]])
    assert decode(str(save(tmp_path / "a.png", image)), 8)[:, 3, 3].tolist() == list(COLOURS["red"])


def test_transparent_palette_entry_becomes_white(tmp_path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, *COLOURS["red"]])
    image.paste(0, (0, 0, 4, 8))
    square = decode(str(save(tmp_path / "a.png", image, transparency=0)), 8)
    assert square[:, 0, 0].tolist() == [255, 255, 255]
    assert square[:, 0, 7].tolist() == list(COLOURS["red"])


def test_alpha_is_composited_on_white(tmp_path):
    square = decode(str(save(tmp_path / "a.png", Image.new("RGBA", (8, 8), (255, 0, 0, 51)))), 8)
    assert square[:, 0, 0].tolist() == [255, 204, 204]


def test_grey_with_alpha(tmp_path):
    square = decode(str(save(tmp_path / "a.png", Image.new("LA", (8, 8), (0, 51)))), 8)
    assert square.shape == (1, 8, 8)
    assert square[0, 0, 0] == 204


def test_cmyk(tmp_path):
    path = save(tmp_path / "a.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)), quality=100)
    red, green, blue = decode(str(path), 8)[:, 4, 4].tolist()
    assert red > 250
    assert green < 5
    assert blue < 5


def test_one_bit(tmp_path):
    square = decode(str(save(tmp_path / "a.png", Image.new("1", (8, 8), 1))), 8)
    assert square.shape == (1, 8, 8)
    assert (square == 255).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_exif_rotation(tmp_path, suffix):
    """Orientation 6: the top of the picture is the right side of the stored pixels' left column, turned."""
    stored = Image.new("L", (16, 16), 0)
    stored.paste(255, (0, 0, 16, 8))  # bright above; turned clockwise, bright on the right
    exif = Image.Exif()
    exif[0x0112] = 6
    square = decode(str(save(tmp_path / f"a.{suffix}", stored, exif=exif)), 16)[0]
    assert square[:, 12:].min() > 240
    assert square[:, :4].max() < 15


@pytest.mark.parametrize(("size", "band"), [((48, 16), (16, 0, 32, 16)), ((16, 48), (0, 16, 16, 32))])
def test_the_centre_is_kept(tmp_path, size, band):
    image = Image.new("RGB", size, COLOURS["red"])
    image.paste(COLOURS["blue"], band)
    square = decode(str(save(tmp_path / "a.png", image)), 16)
    assert (square == np.reshape(COLOURS["blue"], (3, 1, 1))).all()


def test_what_needs_no_scaling_is_kept_exactly(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (16, 17, 3), np.uint8)
    square = decode(str(save(tmp_path / "a.png", Image.fromarray(noise))), 16)
    assert (square == np.moveaxis(noise[:, :16], 2, 0)).all()


def test_shrinking_averages(tmp_path):
    chequered = np.indices((64, 64)).sum(0) % 2 * 255
    square = decode(str(save(tmp_path / "a.png", Image.fromarray(chequered.astype(np.uint8)))), 8)
    assert np.abs(square.astype(int) - 127).max() <= 1


@pytest.mark.parametrize("size", [24, 200])
def test_a_large_jpeg_is_like_a_large_png(tmp_path, size):
    squares = (np.indices((600, 800)) // 50).sum(0) % 2 * 255
    photo = Image.fromarray(squares.astype(np.uint8))
    jpeg = decode(str(save(tmp_path / "a.jpg", photo, quality=95)), size)
    png = decode(str(save(tmp_path / "a.png", photo)), size)
    assert np.abs(jpeg.astype(int) - png).mean() < 2


def test_floating_point_pixels(tmp_path):
    path = save(tmp_path / "a.tif", Image.fromarray(np.zeros((8, 8), np.float32)))
    with pytest.raises(BadImage, match="floating point"):
        decode(str(path), 8)


def test_32_bits(tmp_path):
    path = save(tmp_path / "a.tif", Image.fromarray(np.full((8, 8), 70_000, np.int32)))
    with pytest.raises(BadImage, match="32-bit"):
        decode(str(path), 8)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "no image that can be identified"), (b"not an image", "no image"), ("truncated", "truncated")],
)
def test_corrupt(tmp_path, content, reason):
    path = tmp_path / "a.jpg"
    if content == "truncated":
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        content = save(path, Image.fromarray(noise)).read_bytes()[:2000]
    path.write_bytes(content)
    with pytest.raises(BadImage, match=reason):
        decode(str(path), 8)


def test_decompression_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    path = save(tmp_path / "a.png", Image.new("L", (50, 50)))
    with pytest.raises(BadImage, match="decompression bomb"):
        decode(str(path), 8)


def test_unreadable(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.png").touch()
    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(BadImage, match=r"^Permission denied$"):
        decode(str(tmp_path / "a.png"), 8)
