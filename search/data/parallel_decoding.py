"""Many image files -> one `images.npy`, or batches of pixels; decoded on all cores."""

import functools
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO, TypeAlias, TypeVar

import joblib
import numpy as np

from search.data.cache import CHUNK
from search.data.decoding import BadImage, decode, to_grey
from search.errors import UserError
from search.files import replace_file
from search.processes import hidden_main

logger = logging.getLogger(__name__)

Done = TypeVar("Done")
Task: TypeAlias = Callable[[int, Sequence[str]], Done]  # the number of a first row, and the paths from there on

IMAGES_PER_TASK = 32  # decoded at a time by one thread or process
TASKS_AHEAD = 8  # for each thread or process: decoded before they are asked for
MOST_FOR_THREADS = 2000  # images; up to so many, threads are done before processes have started
MOST_KILLS = 3  # of processes in the middle of their work, before decoding is given up


@dataclass(frozen=True)
class Decoded:
    """What became of one image."""

    grey: bool  # all channels equal
    reason: str | None = None  # why it could not be read


def decode_all(
    paths: Sequence[str], size: int, channels: int | None, target: Path, stream: TextIO | None = None
) -> list[str | None]:
    """Write the images that can be read to `target`, uint8 (n, channels, size, size), in order.

    channels: 1 or 3; None for 1 where every image is grey, else 3. Progress goes to `stream`, stderr by default.
    Returns for each path None, or the reason why the image was left out. Raises UserError where processes are
    killed again and again.

    The processes write their rows into the file themselves, so no image is in memory for long, let alone twice.
    """
    with open(target, "wb") as file:
        begin = _write_header(file, (len(paths), 3, size, size))
        file.truncate(begin + len(paths) * 3 * size * size)
    task = functools.partial(_write_rows, target=target, begin=begin, size=size)
    batches = _in_parallel(task, paths, DecodingProgress(len(paths), stream or sys.stderr))
    decoded = [image for batch in batches for image in batch]
    good = np.array([image.reason is None for image in decoded], bool)
    if channels is None:
        channels = 1 if all(image.grey for image in decoded) else 3
    if channels == 1 or not good.all():
        _keep_rows(target, np.flatnonzero(good), channels)
    return [image.reason for image in decoded]


def decode_batches(
    paths: Sequence[str], size: int, channels: int, progress: "DecodingProgress"
) -> Generator[tuple[np.ndarray, list[str | None]], None, None]:
    """The images in order, a few at a time: those that can be read, uint8 (k, channels, size, size), and for each path
    of the batch None or the reason why it is not among them.

    channels: 1 or 3. So many are decoded ahead of what is taken that all cores are busy, and no more. Raises UserError
    as `decode_all` does.
    """
    for rows, decoded in _in_parallel(functools.partial(_decode_rows, size=size), paths, progress):
        reasons = [image.reason for image in decoded]
        good = rows[[reason is None for reason in reasons]]
        yield to_grey(good) if channels == 1 else good, reasons


class DecodingProgress:
    """Tells how many images are decoded: a line that counts up on a terminal, elsewhere a line for each quarter."""

    def __init__(self, total: int, stream: TextIO, doing: str = "reading images") -> None:
        self._total, self._stream, self._doing = total, stream, doing
        self._done, self._quarters = 0, 0
        self._began = time.monotonic()

    def add(self, count: int) -> None:
        """Tell that `count` more images are decoded."""
        self._done += count
        text = f"{self._doing}: {self._done:,} of {self._total:,}"
        ended = self._done == self._total
        if ended:
            text += f" in {time.monotonic() - self._began:.1f} s"
        if self._stream.isatty():
            print(f"\r{text}", end="\n" if ended else "", file=self._stream, flush=True)
        elif 4 * self._done // self._total > self._quarters:
            self._quarters = 4 * self._done // self._total
            print(text, file=self._stream, flush=True)


def _in_parallel(task: Task[Done], paths: Sequence[str], progress: DecodingProgress) -> Iterator[Done]:
    """Call `task` for a few paths at a time; yields what it returns, in order.

    Where a process is killed, others go on, fewer of them. Raises UserError where that has happened too often.
    """
    starts = range(0, len(paths), IMAGES_PER_TASK)
    for kills in range(MOST_KILLS):
        try:
            for result in _in_turn(task, paths, starts, max(joblib.cpu_count() >> kills, 1)):
                progress.add(min(IMAGES_PER_TASK, len(paths) - starts[0]))
                starts = starts[1:]
                yield result
            return
        except BrokenProcessPool:
            logger.info("a process that decoded images was killed, perhaps for want of memory; fewer others go on")
    raise UserError(
        f"processes that decoded images were killed {MOST_KILLS} times, perhaps for want of memory; "
        f"free some and start again"
    )


def _in_turn(task: Task[Done], paths: Sequence[str], starts: Sequence[int], workers: int) -> Iterator[Done]:
    """What `task` returns for the paths from each of `starts` on; a few are done ahead of what is taken."""
    executor = _executor(len(paths), workers)
    ahead = deque[Future[Done]]()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about odd metadata; threads share the setting
            for start in starts:
                with hidden_main():
                    ahead.append(executor.submit(task, start, paths[start : start + IMAGES_PER_TASK]))
                if len(ahead) > TASKS_AHEAD * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


def _executor(count: int, workers: int) -> Executor:
    """Processes, since the work on small files is bound by Python; threads for few images."""
    if count <= MOST_FOR_THREADS:
        return ThreadPoolExecutor(workers)
    # not "forkserver": its one server is to preload what trials need
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """In a process of the pool: leave Ctrl-C to the parent, and end when it has been killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait_for_its_end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait_for_its_end, daemon=True).start()


def _decode_rows(first: int, paths: Sequence[str], *, size: int) -> tuple[np.ndarray, list[Decoded]]:
    """Decode a few images into rows, uint8 (n, 3, size, size); zeros for one that cannot be read."""
    rows = np.zeros((len(paths), 3, size, size), np.uint8)
    decoded = []
    for row, path in zip(rows, paths, strict=True):
        try:
            pixels = decode(path, size)
            row[:] = pixels
            decoded.append(Decoded(grey=len(pixels) == 1))
        except BadImage as error:
            decoded.append(Decoded(grey=True, reason=str(error)))
    return rows, decoded


def _write_rows(first: int, paths: Sequence[str], *, target: Path, begin: int, size: int) -> list[Decoded]:
    """Decode a few images and write them into the rows of the file from `first` on."""
    rows, decoded = _decode_rows(first, paths, size=size)
    with open(target, "r+b") as file:  # unlike a mapping, this fails with an error where the disk is full
        file.seek(begin + first * rows[0].nbytes)
        file.write(rows.data)
    return decoded


def _keep_rows(path: Path, rows: np.ndarray, channels: int) -> None:
    """Reduce a file of images (n, 3, h, w) to those rows, with 1 or 3 channels."""
    images = np.load(path, mmap_mode="r")

    def write(scratch: Path) -> None:
        with open(scratch, "wb") as file:
            _write_header(file, (len(rows), channels, *images.shape[2:]))
            for start in range(0, len(rows), CHUNK):
                chunk = images[rows[start : start + CHUNK]]
                file.write(np.ascontiguousarray(to_grey(chunk) if channels == 1 else chunk).data)

    replace_file(path, write)


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> int:
    """Begin an .npy file of uint8; returns where the pixels go."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()
