"""Whether images fit. 1,000 images of 100x100x3 are 30 MB."""

import pytest
from image_files import fill, refusal

from search.data import datasets, folder
from search.data.resources import available_disk, available_memory, check_disk, memory_warning

pytestmark = pytest.mark.usefixtures("own_cache")


def test_enough():
    check_disk(1000, 100, free=30e6)
    assert memory_warning(1000, 100, free=30e6) is None


def test_memory():
    assert memory_warning(1_000_000, 100, free=28e9) == (
        "1,000,000 images of 100x100x3 take up to 30.0 GB, more than the 28.0 GB of free memory: every epoch will "
        "read from the disk; to avoid that, pass --image-size 96 or less"
    )


def test_disk():
    assert refusal(lambda: check_disk(1_000_000, 100, free=13e9)) == (
        "1,000,000 images of 100x100x3 take up to 30.0 GB, and the disk of the image cache has 13.0 GB free; "
        "pass --image-size 64 or less, or set XDG_CACHE_HOME to a folder on a larger disk"
    )


def test_nothing_fits():
    assert "; use fewer images, or set" in refusal(lambda: check_disk(10**9, 100, free=1e9))


def test_it_is_asked_beforehand(tmp_path, monkeypatch, said):
    monkeypatch.setattr(folder, "available_memory", lambda: 100.0)
    home = fill(tmp_path / "data")
    datasets.load("folder", "train", home)
    assert "16 images of 16x16x3 take up to 0.0 GB, more than" in said()
    monkeypatch.setattr(folder, "available_disk", lambda _place: 100.0)
    assert "the disk of the image cache has" in refusal(lambda: datasets.load("folder", "train", home, image_size=8))


def test_this_machine_has_some(tmp_path):
    assert available_memory() > 1e6
    assert available_disk(tmp_path / "not" / "there" / "yet") > 1e6
