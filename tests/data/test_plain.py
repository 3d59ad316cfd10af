"""What is said of images that show nothing."""

import numpy as np
import pytest
from image_files import save
from PIL import Image

from search.data import datasets, plain
from search.data.plain import of_plain

pytestmark = pytest.mark.usefixtures("own_cache")


def images(*brightest: int) -> np.ndarray:
    return np.stack([np.linspace(0, highest, 64).astype(np.uint8).reshape(1, 8, 8) for highest in brightest])


@pytest.mark.parametrize(
    ("brightest", "said"),
    [
        ((255, 200, 90), []),
        ((16, 67), []),
        ((0, 200), ["1 image of 2 has one colour alone, 0.png; what"]),
        ((200, 0, 0, 0, 0), ["4 images of 5 have one colour alone, 1.png, 2.png, 3.png and 1 more; what"]),
        ((16, 9), ["the brightest pixel of all 2 images is 16 of 255; if"]),
        ((0, 1), ["1 image of 2 has one colour alone, 0.png; what", "the brightest pixel of all 2 images is 1 of 255"]),
    ],
)
@pytest.mark.parametrize("chunk", [2, 100])
def test_what_shows_nothing_is_told(brightest, said, chunk, monkeypatch):
    monkeypatch.setattr(plain, "CHUNK", chunk)
    found = list(of_plain(images(*brightest), [f"{number}.png" for number in range(len(brightest))]))
    assert len(found) == len(said)
    assert all(line.startswith(start) for line, start in zip(found, said, strict=True))


def test_a_colour_is_plain_where_each_channel_is():
    colours = np.zeros((2, 3, 4, 4), np.uint8)
    colours[:, 0] = 200
    colours[1, 2, 0, 0] = 1
    assert [line.split(";")[0] for line in of_plain(colours, "ab")] == ["1 image of 2 has one colour alone, a"]


@pytest.mark.parametrize(
    ("drawn", "told"),
    [
        (lambda levels: levels.astype(np.uint8), None),
        (lambda levels: (levels * 257).astype(np.uint16), None),
        (lambda levels: (levels * 16).astype(np.uint16), "the brightest pixel of all 16 images is 16 of 255"),
        (lambda levels: levels.astype(np.uint16), "the brightest pixel of all 16 images is 1 of 255"),
        (
            lambda levels: np.dstack([np.full((8, 8, 3), 255, np.uint8), levels.astype(np.uint8)]),
            "16 images of 16 have one colour alone, a/",
        ),
    ],
)
def test_it_is_told_when_files_are_read(tmp_path, drawn, told, said):
    for number in range(20):
        levels = np.random.default_rng(number).permutation(np.linspace(0, 255, 64)).reshape(8, 8)
        save(tmp_path / "data" / "ab"[number % 2] / f"{number}.png", Image.fromarray(drawn(levels)))
    datasets.load("folder", "train", tmp_path / "data")
    found = [line for line in said().splitlines() if "one colour" in line or "of 255" in line]
    assert len(found) == bool(told)
    assert not told or told in found[0]
