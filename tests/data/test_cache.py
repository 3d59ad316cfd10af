"""What is decoded once and found again, and what a failure leaves."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from image_files import fill, pixels, refusal, save
from PIL import Image

from search.data import cache, datasets, folder
from search.data.cache import Contents
from search.data.folder import find_images

pytestmark = pytest.mark.usefixtures("own_cache")


def test_second_start_decodes_nothing(tmp_path, monkeypatch):
    home = fill(tmp_path / "data")
    first = datasets.load("folder", "train", home)
    monkeypatch.setattr(folder, "decode_all", None)
    assert datasets.load("folder", "train", home) == first


def test_a_changed_file_counts(tmp_path):
    home = fill(tmp_path / "data")
    first = datasets.load("folder", "train", home)
    changed = Path(find_images("train", home).paths[0])
    save(changed, Image.new("RGB", (16, 16), "white"))
    os.utime(changed, ns=(time.time_ns(), time.time_ns() + 10**9))
    assert datasets.load("folder", "train", home).fingerprint != first.fingerprint


def test_sizes_are_kept_apart(tmp_path):
    home = fill(tmp_path / "data")
    sizes = [pixels(datasets.load("folder", "train", home, image_size=size)).shape[2] for size in (16, 8, 16)]
    assert sizes == [16, 8, 16]


def test_nothing_is_left_after_a_failure(tmp_path, monkeypatch):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "decode_all", interrupt)
    with pytest.raises(KeyboardInterrupt):
        datasets.load("folder", "train", fill(tmp_path / "data"))
    assert list(cache.cache_folder().iterdir()) == []


def test_full_disk(tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "decode_all", full)
    home = fill(tmp_path / "data")
    message = refusal(lambda: datasets.load("folder", "train", home))
    assert message.startswith(f"cannot write the image cache {cache.cache_folder()}: No space left on device; set")


def test_another_process_was_first():
    """Both have read the same files, so the entry that is there is as good."""

    def write(scratch: Path) -> Contents:
        np.save(scratch / "images.npy", np.zeros((2, 1, 8, 8), np.uint8))
        return Contents(np.array([0, 1]), ("a", "b"))

    def write_second(scratch: Path) -> Contents:
        first.append(cache.store("test", "key", write))
        return write(scratch)

    first: list[cache.CachedImages] = []
    assert cache.store("test", "key", write_second) == first[0]
    assert len(list(cache.cache_folder().iterdir())) == 1
