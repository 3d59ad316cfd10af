"""Folders of image files for the tests of this room, and what is said about those that cannot be used."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.errors import UserError

COLOURS = {"red": (200, 30, 40), "blue": (20, 60, 220)}


def save(path: Path, image: Image.Image, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def fill(home: Path, classes=("blue", "red"), count=10, size=(16, 16), mode="RGB", first=0) -> Path:
    """`count` PNG files for each class, each of another shade."""
    for number, name in enumerate(classes):
        for index in range(first, first + count):
            shade = (40 * number + 10 * index) % 256
            colour = (shade + number) % 256 if mode == "L" else (shade, 100 * number % 256, 77)
            save(home / name / f"{index:03d}.png", Image.new(mode, size, colour))
    return home


def pixels(entry) -> np.ndarray:
    return np.load(entry.images)


def refusal(action) -> str:
    with pytest.raises(UserError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    return message
