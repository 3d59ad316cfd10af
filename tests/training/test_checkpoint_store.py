"""Checkpoints in a place that other machines reach."""

from pathlib import Path

import fsspec
import pytest

from search.errors import UserError
from search.training.checkpoint_store import CheckpointStore


@pytest.fixture(params=["folder", "file", "memory"])
def url(request, tmp_path):
    return {"folder": str(tmp_path / "a" / "b"), "file": f"file://{tmp_path}/c", "memory": "memory://d/e"}[
        request.param
    ]


def test_what_was_written_is_read_until_it_is_removed(url):
    store = CheckpointStore(url, "study")
    store.check()
    assert store.read("3.pt") is None
    for content in (b"first", b"second"):
        store.write("3.pt", content)
        assert store.read("3.pt") == content
    assert CheckpointStore(url, "another").read("3.pt") is None
    assert store.read("4.pt") is None
    store.remove("3.pt")
    store.remove("3.pt")
    assert store.read("3.pt") is None


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before_it(tmp_path, monkeypatch):
    store = CheckpointStore(str(tmp_path), "study")
    store.write("3.pt", b"first")

    def broken(self, path, value, **options):
        Path(path).write_bytes(value[:2])
        raise RuntimeError("the line is cut")  # as libraries for remote places raise it

    monkeypatch.setattr(fsspec.get_filesystem_class("file"), "pipe_file", broken)
    with pytest.raises(OSError, match="the line is cut"):
        store.write("3.pt", b"second")
    assert store.read("3.pt") == b"first"


@pytest.mark.parametrize("url", ["nowhere://bucket/folder", "/proc/none"])
def test_a_place_that_takes_nothing_is_refused_before_anything_is_trained(url):
    with pytest.raises(UserError, match=f"no checkpoint can be kept in --checkpoints {url}: "):
        CheckpointStore(url, "study").check()
