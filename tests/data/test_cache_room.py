"""The limit of the image cache, and what is never removed."""

import os
import shutil

import pytest
from image_files import fill

from search.command.cli import main
from search.data import cache_room, datasets
from search.data.cache import cache_folder
from search.workers.remembered import remembered

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def filled():
    """Entries of 100 bytes each; `old` was used last at second 1."""
    for second, name in ((3, "new"), (1, "old"), (2, "middle")):
        entry = cache_folder() / name
        entry.mkdir(parents=True)
        (entry / "images.npy").write_bytes(b"x" * 100)
        os.utime(entry, (second, second))
    return cache_folder()


def names():
    return [entry.name for entry in cache_room.entries()]


@pytest.mark.parametrize(
    ("limit", "left"), [(300, ["old", "middle", "new"]), (299, ["middle", "new"]), (100, ["new"]), (0, [])]
)
def test_what_was_used_least_recently_goes_first(filled, limit, left):
    assert cache_room.make_room(limit) == 100 * len(left)
    assert names() == left


def test_what_is_used_stays_and_counts_as_used_now(filled):
    cache_room.hold(filled / "old")
    assert names() == ["middle", "new", "old"]
    assert cache_room.make_room(0) == 100
    assert names() == ["old"]


def test_loading_images_makes_room(tmp_path, filled, monkeypatch):
    monkeypatch.setattr(cache_room.make_room, "__defaults__", (0,))
    entry = datasets.load("folder", "train", fill(tmp_path / "data"))
    assert [name for name in names() if not name.startswith("copies-")] == [entry.images.parent.name]


def test_the_command(filled, capsys):
    remembered("packing", "key", lambda: {"workers": 1})
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.startswith(f"{filled}: 3 sets of images, 0.0 MB (at most 20 GB;")
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out.startswith(f"{filled}: 0 sets of images, 0.0 MB (at")
    assert list(filled.glob("*.json")) == []


def test_what_another_process_removes_meanwhile_is_no_error(filled, monkeypatch):
    gone = filled / "middle"
    size = cache_room._size

    def removed_before(entry):
        if entry == gone and gone.exists():
            shutil.rmtree(gone)
        return size(entry)

    monkeypatch.setattr(cache_room, "_size", removed_before)
    assert names() == ["old", "new"]
    monkeypatch.setattr(cache_room, "entries", lambda: {gone: 100, filled / "old": 100, filled / "new": 100})
    assert cache_room.make_room(100) == 100
    assert [entry.name for entry in filled.iterdir()] == ["new"]
