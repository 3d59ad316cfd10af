"""What the weights say of each image, written and read."""

from dataclasses import replace

import numpy as np
import pytest

from search.results.pictures import Pictures
from search.results.predictions import TEST, VALIDATION, Predictions, read, save

ONE = Predictions("a" * 64, np.array([4, 2]), np.array([0, 1]), np.array([[2.0, 0.0], [3.0, 1.0]], dtype=np.float32))


def test_they_come_back_as_they_were(tmp_path):
    save(tmp_path, VALIDATION, ONE)
    again = read(tmp_path, VALIDATION, "a" * 64)
    assert again.weights_sha256 == ONE.weights_sha256
    for name in ("images", "labels", "logits"):
        assert np.array_equal(getattr(again, name), getattr(ONE, name))
    assert again.predicted.tolist() == [0, 0]


def test_those_of_other_weights_or_of_another_split_are_not_taken(tmp_path):
    save(tmp_path, VALIDATION, ONE)
    assert read(tmp_path, VALIDATION, "b" * 64) is None
    assert read(tmp_path, TEST, "a" * 64) is None


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04"])
def test_a_damaged_file_counts_as_none(tmp_path, content):
    save(tmp_path, VALIDATION, ONE)
    (tmp_path / "predictions" / "validation.npz").write_bytes(content)
    assert read(tmp_path, VALIDATION, "a" * 64) is None


def test_a_flipped_bit_anywhere_raises_nothing(tmp_path):
    save(tmp_path, VALIDATION, ONE)
    file = tmp_path / "predictions" / "validation.npz"
    sound = file.read_bytes()
    for at in range(len(sound)):
        file.write_bytes(sound[:at] + bytes([sound[at] ^ 0x08]) + sound[at + 1 :])
        read(tmp_path, VALIDATION, "a" * 64)


def test_probabilities_are_those_of_the_divided_logits():
    assert ONE.probabilities()[0, 0] == pytest.approx(1 / (1 + np.exp(-2)))
    assert ONE.probabilities(2.0)[0, 0] == pytest.approx(1 / (1 + np.exp(-1)))


def test_pictures_come_back_and_broken_ones_are_left_out(tmp_path):
    pictures = Pictures(np.array([1]), np.full((1, 3, 2, 2), 7, np.uint8), np.array(["cats/é.jpg"]))
    save(tmp_path, VALIDATION, replace(ONE, pictures=pictures))
    again = read(tmp_path, VALIDATION, "a" * 64).pictures
    for name in ("places", "pixels", "names"):
        assert np.array_equal(getattr(again, name), getattr(pictures, name))
    for broken in (
        replace(pictures, places=np.array([2])),  # of two images
        replace(pictures, names=np.array(["one", "too many"])),
        replace(pictures, pixels=np.zeros((1, 2, 2, 2), np.uint8)),
        replace(pictures, pixels=np.zeros((1, 3, 2, 2))),
    ):
        save(tmp_path, VALIDATION, replace(ONE, pictures=broken))
        again = read(tmp_path, VALIDATION, "a" * 64)
        assert len(again.pictures.places) == 0
        assert again.predicted.tolist() == [0, 0]
