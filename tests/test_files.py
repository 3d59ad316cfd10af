"""Files that outlive faults."""

import errno
import os
import subprocess

import pytest

from search.files import locked, remove_leftovers, replace_file, set_aside


def dead_process() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_failed_write_leaves_what_was_there(tmp_path):
    def fail(scratch):
        scratch.write_text("half")
        raise OSError(28, "No space left on device")

    (tmp_path / "best.yaml").write_text("old")
    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "best.yaml", fail)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"best.yaml": "old"}


def test_a_full_disk_is_told_with_the_file(tmp_path):
    def write(scratch):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left on device") as caught:
        replace_file(tmp_path / "a.txt", write)
    assert caught.value.filename == str(tmp_path / "a.txt")


def test_content_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    """Or else a power cut leaves an empty file under the final name."""
    path, synced = tmp_path / "best.yaml", []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.exists()))
    replace_file(path, lambda scratch: scratch.write_text("new"))
    assert synced == [False, True]


def test_two_processes_have_scratch_files_of_their_own(tmp_path, monkeypatch):
    def write(scratch):
        scratch.write_text("first")
        monkeypatch.setattr(os, "getpid", lambda: 1)
        replace_file(tmp_path / "best.yaml", lambda second: second.write_text("second"))
        assert scratch.read_text() == "first"

    replace_file(tmp_path / "best.yaml", write)
    assert (tmp_path / "best.yaml").read_text() == "first"


def test_leftovers_of_processes_that_are_gone_are_removed(tmp_path):
    alive = f".alive.pt.{os.getppid()}.tmp"
    others = ["7.pt", "notes.tmp", ".hidden", "7.pt.tmp"]
    for name in [f".7.pt.{dead_process()}.tmp", f".8.pt.{os.getpid()}.tmp", f".9.pt.{2**70}.tmp", alive, *others]:
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {alive, *others}
    remove_leftovers(tmp_path / "missing")


def test_set_aside(tmp_path):
    for content in ("first", "second"):
        (tmp_path / "7.pt").write_text(content)
        assert set_aside(tmp_path / "7.pt").read_text() == content
    assert [path.name for path in tmp_path.iterdir()] == ["7.pt.damaged"]


def test_who_waits_for_a_lock_is_asked_whether_to_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr("search.files.PATIENCE_SECONDS", 0.02)
    asked = []

    def go_on():
        asked.append(1)
        if len(asked) == 3:
            raise InterruptedError

    def take():
        with locked(tmp_path / "lock", "works", go_on):
            pass

    with locked(tmp_path / "lock", "works"), pytest.raises(InterruptedError):
        take()
    take()  # it is free
    assert len(asked) == 3
