"""The pictures that a report shows: small, of the right images, with the names of their files."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from search.data import datasets
from search.data.tensors import prepare
from search.finals.pictures import LARGEST_SIDE, pictures_of
from search.finals.predictions import with_pictures
from search.results.predictions import Predictions


def test_they_are_those_of_the_places_among_the_images(digits):
    indices, places = digits.splits.val, np.array([7, 0])
    pictures = pictures_of(digits, indices, places)
    assert pictures.places.tolist() == [7, 0]
    assert np.array_equal(pictures.pixels, np.load(digits.images)[indices[places]])
    assert pictures.names.tolist() == ["", ""]  # digits are in no files


def test_large_ones_are_made_small(digits, tmp_path):
    images = np.zeros((3, 3, 2 * LARGEST_SIDE, 4 * LARGEST_SIDE), np.uint8)
    images[1, 2] = 200
    np.save(tmp_path / "images.npy", images)
    pictures = pictures_of(replace(digits, images=tmp_path / "images.npy"), np.arange(3), np.array([1]))
    assert pictures.pixels.shape == (1, 3, LARGEST_SIDE // 2, LARGEST_SIDE)
    assert (pictures.pixels[0, 2] == 200).all()
    assert (pictures.pixels[0, 0] == 0).all()
    assert len(pictures_of(digits, np.arange(3), np.arange(0)).pixels) == 0


def test_the_worst_mistakes_are_pictured(digits):
    labels = digits.val_labels
    logits = np.eye(10, dtype=np.float32)[labels] * 5
    logits[3, (labels[3] + 1) % 10], logits[9, (labels[9] + 1) % 10] = 6, 9
    found = with_pictures(Predictions("", digits.splits.val, labels, logits), digits, 1.0)
    assert found.pictures.places.tolist() == [9, 3]


@pytest.mark.usefixtures("own_cache")
def test_files_have_names(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(10):
            Image.new("L", (8, 8), 9 * number + (name == "b")).save(tmp_path / "data" / name / f"{number}.png")
    (tmp_path / "data" / "a" / "3.png").write_bytes(b"no image")
    entry = datasets.load("folder", "train", tmp_path / "data", skip_bad_images=True)
    data = prepare(entry, train_size=None, val_size=None, seed=0, flip=False)
    pixels = np.load(data.images)
    for index, name in enumerate(data.names(np.arange(len(pixels)))):
        assert (pixels[index] == np.asarray(Image.open(tmp_path / "data" / name))).all()
    (data.images.parent / "names.json").write_text("[]")
    assert data.names(np.array([0])) == [""]
