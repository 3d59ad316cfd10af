"""Many image files into one file of pixels."""

import functools
import io
import os
import signal
from concurrent.futures import Executor, Future
from pathlib import Path

import numpy as np
from image_files import fill, refusal

from search.data import parallel_decoding
from search.data.decoding import decode, to_grey
from search.data.listing import find_images
from search.data.parallel_decoding import DecodingProgress, decode_all, decode_batches


def images_at(paths: list[str], numbers: list[int]) -> np.ndarray:
    return np.stack([decode(paths[number], 16) for number in numbers])


def test_processes_give_what_threads_give(tmp_path, monkeypatch):
    home = fill(tmp_path / "data", count=40)
    paths = find_images(home).train.paths
    Path(paths[40]).write_bytes(b"")
    by_threads = decode_all(paths, 16, None, tmp_path / "a.npy", io.StringIO())
    monkeypatch.setattr(parallel_decoding, "MOST_FOR_THREADS", 0)
    by_processes = decode_all(paths, 16, None, tmp_path / "b.npy", io.StringIO())
    assert by_threads == by_processes
    assert [number for number, reason in enumerate(by_processes) if reason] == [40]
    assert np.load(tmp_path / "a.npy").shape == (63, 3, 16, 16)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    assert (np.load(tmp_path / "b.npy")[[0, 39, 40, 62]] == images_at(paths, [0, 39, 41, 63])).all()


def kill(times: int, task, first: int, paths: list[str]):
    """Stands in for the task of a process: for the first few times it dies in the middle."""
    deaths = Path(paths[0]).parents[1] / "deaths"
    if first == 32 and (done := len(deaths.read_text()) if deaths.exists() else 0) < times:
        deaths.write_text("x" * (done + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return task(first, paths)


def decode_with_kills(monkeypatch, times: int, paths: list[str], target: Path) -> str:
    """Decode in processes of which some are killed; what is shown of the progress."""
    in_parallel, progress = parallel_decoding._in_parallel, io.StringIO()
    monkeypatch.setattr(parallel_decoding, "MOST_FOR_THREADS", 0)
    monkeypatch.setattr(
        parallel_decoding, "_in_parallel", lambda task, *rest: in_parallel(functools.partial(kill, times, task), *rest)
    )
    decode_all(paths, 16, None, target, progress)
    return progress.getvalue()


def test_where_a_process_is_killed_others_go_on(tmp_path, monkeypatch):
    paths = find_images(fill(tmp_path / "data", count=80)).train.paths
    decode_all(paths, 16, None, tmp_path / "undisturbed.npy", io.StringIO())
    shown = decode_with_kills(monkeypatch, 2, paths, tmp_path / "disturbed.npy")
    assert (tmp_path / "disturbed.npy").read_bytes() == (tmp_path / "undisturbed.npy").read_bytes()
    assert shown.splitlines()[-1].startswith("reading images: 128 of 128 in ")


def test_processes_that_are_killed_again_and_again(tmp_path, monkeypatch):
    paths = find_images(fill(tmp_path / "data", count=80)).train.paths
    message = refusal(lambda: decode_with_kills(monkeypatch, 9, paths, tmp_path / "disturbed.npy"))
    assert message.startswith("processes that decoded images were killed 3 times, perhaps for want of memory; free")


class AtOnce(Executor):
    """Stands in for threads: what it is given is done at once."""

    def submit(self, task, *arguments):
        done = Future()
        done.set_result(task(*arguments))
        return done


def test_batches_are_decoded_a_few_ahead_and_without_those_that_cannot_be_read(tmp_path, monkeypatch):
    paths = find_images(fill(tmp_path / "data", count=40)).train.paths
    Path(paths[3]).write_bytes(b"")
    begun = []
    monkeypatch.setattr(parallel_decoding, "decode", lambda path, size: begun.append(path) or decode(path, size))
    monkeypatch.setattr(parallel_decoding, "_executor", lambda count, workers: AtOnce())
    monkeypatch.setattr(parallel_decoding.joblib, "cpu_count", lambda: 1)
    monkeypatch.setattr(parallel_decoding, "IMAGES_PER_TASK", 4)
    monkeypatch.setattr(parallel_decoding, "TASKS_AHEAD", 2)
    batches = decode_batches(paths, 16, 3, DecodingProgress(len(paths), io.StringIO()))
    pixels, reasons = next(batches)
    assert reasons == [None, None, None, "no image that can be identified"]
    assert (pixels == images_at(paths, [0, 1, 2])).all()
    assert begun == paths[:12]
    assert [len(next(batches)[0]), len(begun)] == [4, 16]
    assert sum(len(reasons) for _, reasons in batches) == len(paths) - 8


def test_batches_of_grey_images(tmp_path):
    paths = find_images(fill(tmp_path / "data", count=4)).train.paths
    (batch,) = decode_batches(paths, 16, 1, DecodingProgress(len(paths), io.StringIO()))
    assert (batch[0] == to_grey(images_at(paths, range(len(paths))))).all()


class Terminal(io.StringIO):
    def isatty(self):
        return True


class TestDecodingProgress:
    def count(self, stream):
        progress = DecodingProgress(2000, stream)
        for _ in range(20):
            progress.add(100)
        return stream.getvalue()

    def test_terminal(self):
        text = self.count(Terminal())
        assert text.startswith("\rreading images: 100 of 2,000\rreading images: 200 of 2,000\r")
        assert text.endswith("s\n")
        assert text.count("\n") == 1

    def test_elsewhere(self):
        lines = self.count(io.StringIO()).splitlines()
        assert lines[:3] == [f"reading images: {done} of 2,000" for done in ("500", "1,000", "1,500")]
        assert lines[3].startswith("reading images: 2,000 of 2,000 in 0.0 s")
        assert len(lines) == 4
