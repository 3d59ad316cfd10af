"""Many image files -> one `images.npy`, decoded on every core."""

import functools
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

import joblib
import numpy as np

from search.data.cache import CHUNK
from search.data.decoding import BadImage, read, to_grey
from search.errors import UserError
from search.processes import hidden_main

TASK = 32  # images decoded at a time by one worker
FEW = 2000  # up to so many, threads are done before processes have started


@dataclass(frozen=True)
class Decoded:
    """What became of one image: whether it is grey, and why it could not be read, if so."""

    grey: bool
    reason: str | None = None


def decode(
    paths: Sequence[str], size: int, channels: int | None, target: Path, stream: TextIO | None = None
) -> list[str | None]:
    """Write the images that can be read to `target`, uint8 (n, channels, size, size), in order.

    channels: 1 or 3; None for 1 where every image is grey, else 3. Progress goes to `stream`, stderr by default.
    Returns for each path None, or the reason why the image was left out.

    The workers write their rows into the file themselves, so no image is in memory for long, let alone twice.
    """
    with open(target, "wb") as file:
        begin = _write_header(file, (len(paths), 3, size, size))
        file.truncate(begin + len(paths) * 3 * size * size)
    task = functools.partial(_decode_rows, target=target, begin=begin, size=size)
    decoded = _in_parallel(task, paths, Counter(len(paths), stream or sys.stderr))
    good = np.array([image.reason is None for image in decoded], bool)
    if channels is None:
        channels = 1 if all(image.grey for image in decoded) else 3
    if channels == 1 or not good.all():
        _rewrite(target, np.flatnonzero(good), channels)
    return [image.reason for image in decoded]


class Counter:
    """A line that counts up where `stream` is a terminal; elsewhere a line for each quarter."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total, self._stream = total, stream
        self._done, self._quarters = 0, 0
        self._began = time.monotonic()

    def add(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        text = f"reading images: {self._done:,} of {self._total:,}"
        ended = self._done == self._total
        if ended:
            text += f" in {time.monotonic() - self._began:.1f} s"
        if self._stream.isatty():
            print(f"\r{text}", end="\n" if ended else "", file=self._stream, flush=True)
        elif 4 * self._done // self._total > self._quarters:
            self._quarters = 4 * self._done // self._total
            print(text, file=self._stream, flush=True)


def _in_parallel(task: "functools.partial[list[Decoded]]", paths: Sequence[str], counter: Counter) -> list[Decoded]:
    starts = range(0, len(paths), TASK)
    parts = [paths[start : start + TASK] for start in starts]
    decoded: list[Decoded] = []
    executor = _executor(len(paths))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about odd metadata; threads share the setting
            with hidden_main():
                results = executor.map(task, starts, parts)
            for result in results:
                decoded += result
                counter.add(len(result))
    except BrokenProcessPool as error:
        raise UserError(
            "a process that decoded images was killed, perhaps for want of memory; free some and start again"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)
    return decoded


def _executor(count: int) -> Executor:
    """Small files are bound by Python and want processes; a few files are done before those have started."""
    cores = joblib.cpu_count()
    if count <= FEW:
        return ThreadPoolExecutor(cores)
    # not "forkserver": its one server is to preload what trials need
    return ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn"), initializer=_follow_parent)


def _follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it has been killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _decode_rows(first: int, paths: Sequence[str], *, target: Path, begin: int, size: int) -> list[Decoded]:
    """Decode a few images and write them into the rows of the file from `first` on."""
    rows = np.zeros((len(paths), 3, size, size), np.uint8)
    decoded = []
    for row, path in zip(rows, paths, strict=True):
        try:
            pixels = read(path, size)
            row[:] = pixels
            decoded.append(Decoded(grey=len(pixels) == 1))
        except BadImage as error:
            decoded.append(Decoded(grey=True, reason=str(error)))
    with open(target, "r+b") as file:  # unlike a mapping, this fails with an error where the disk is full
        file.seek(begin + first * rows[0].nbytes)
        file.write(rows.data)
    return decoded


def _rewrite(path: Path, rows: np.ndarray, channels: int) -> None:
    """Keep those rows alone, with 1 or 3 channels."""
    images = np.load(path, mmap_mode="r")
    scratch = path.with_name("kept.npy")
    with open(scratch, "wb") as file:
        _write_header(file, (len(rows), channels, *images.shape[2:]))
        for start in range(0, len(rows), CHUNK):
            chunk = images[rows[start : start + CHUNK]]
            file.write(np.ascontiguousarray(to_grey(chunk) if channels == 1 else chunk).data)
    scratch.replace(path)


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> int:
    """Begin an .npy file of uint8; returns where the pixels go."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()
