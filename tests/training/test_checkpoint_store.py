"""Checkpoints in a place that other machines reach."""

import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
from builders import ROOT

from search.errors import UserError
from search.training.checkpoint_store import CheckpointStore


@pytest.fixture(params=["folder", "file", "memory", "s3"])
def url(request, tmp_path):
    if request.param == "s3":
        pytest.importorskip("s3fs", reason="s3fs is not installed")
        return f"{request.getfixturevalue('bucket')}/checkpoints"
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


@pytest.mark.parametrize("url", ["folder", "s3"], indirect=True)
def test_another_process_reads_and_writes_what_this_one_wrote(url):
    store = CheckpointStore(url, "study")
    assert store.read("5.pt") is None
    store.write("5.pt", b"content")
    program = (
        "import sys; from search.training.checkpoint_store import CheckpointStore; "
        "store = CheckpointStore(sys.argv[1], 'study'); print(store.read('5.pt').decode()); store.write('5.pt', b'2')"
    )
    done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "content\n", done.stderr
    assert store.read("5.pt") == b"2"
    store.remove("5.pt")
    assert store.read("5.pt") is None


def test_without_s3fs_it_says_what_to_install(monkeypatch):
    def missing(url):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(UserError, match=r"Install s3fs to access S3 .*; pip install 'gapsearch\[s3\]'$"):
        CheckpointStore("s3://bucket", "study").check()


@pytest.mark.parametrize("url", ["nowhere://bucket/folder", "/proc/none"])
def test_a_place_that_takes_nothing_is_refused_before_anything_is_trained(url):
    with pytest.raises(UserError, match=f"no checkpoint can be kept in --checkpoints {url}: "):
        CheckpointStore(url, "study").check()
