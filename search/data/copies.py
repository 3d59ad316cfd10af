"""Images that are there more than once: files with the same content, and pictures that were saved anew.

What is found by decoding is kept in the image cache until a file changes.
"""

import contextlib
import hashlib
import json
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from search.data.cache import cache_folder
from search.data.cache_room import hold
from search.data.parallel_decoding import DecodingProgress, decode_batches
from search.files import locked, replace_file

VERSION = 1  # of how pictures are compared; another one makes what is kept stale


def find_copies(paths: Sequence[str]) -> list[list[int]]:
    """The numbers of files with the same content, one list for each content that is there more than once.

    Only files of the same size are read. Those that are empty or cannot be read are no copies.
    """
    by_size: dict[int, list[int]] = defaultdict(list)
    for number, path in enumerate(paths):
        with contextlib.suppress(OSError):
            by_size[os.stat(path).st_size].append(number)
    by_content: dict[bytes, list[int]] = defaultdict(list)
    for size, numbers in by_size.items():
        for number in numbers if size and len(numbers) > 1 else ():
            with contextlib.suppress(OSError):
                by_content[_digest(paths[number])].append(number)
    return [numbers for numbers in by_content.values() if len(numbers) > 1]


def groups(contents: Sequence[int]) -> list[list[int]]:
    """The places of numbers that are there more than once, one list for each."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, content in enumerate(contents):
        places[content].append(place)
    return [same for same in places.values() if len(same) > 1]


def saved_anew(paths: Sequence[str]) -> list[list[int]]:
    """The numbers of images that show the same picture, see `near_copies`; one list for each such picture.

    Those that cannot be read are no copies. Raises UserError where processes that decode are killed again and again.
    """
    path = cache_folder() / f"copies-{_stamp(paths)}" / "copies.json"
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # where nothing can be written, it is found anew each time
            stack.enter_context(locked(path.parent.with_name(f".{path.parent.name}.lock"), "looks for copies"))
        found = _kept(path, len(paths))
        if found is None:
            found = _found(paths)
            text = json.dumps(found)
            with contextlib.suppress(OSError):
                replace_file(path, lambda scratch: scratch.write_text(text))
    hold(path.parent)
    return found


def _found(paths: Sequence[str]) -> list[list[int]]:
    from search.data.near_copies import SIDE, near_copies  # scipy takes a moment to import

    squares, good = [np.empty((0, 3, SIDE, SIDE), np.uint8)], list[bool]()
    progress = DecodingProgress(len(paths), sys.stderr, "looking for copies")
    with contextlib.closing(decode_batches(paths, SIDE, 3, progress)) as batches:
        for pixels, reasons in batches:
            squares.append(pixels)
            good += [reason is None for reason in reasons]
    numbers = np.flatnonzero(good).tolist()
    return [[numbers[place] for place in group] for group in near_copies(np.concatenate(squares))]


def _kept(path: Path, count: int) -> list[list[int]] | None:
    """What was found of that many images; None where there is nothing of use."""
    try:
        kept = json.loads(path.read_text())
        sound = isinstance(kept, list) and all(0 <= int(number) < count for group in kept for number in group)
        return [[int(number) for number in group] for group in kept] if sound else None
    except (OSError, ValueError, TypeError):
        return None


def _stamp(paths: Sequence[str]) -> str:
    """Changes when a file does."""
    state = hashlib.sha256(repr(VERSION).encode())
    for path in paths:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            state.update(repr((os.path.abspath(path), status.st_size, status.st_mtime_ns)).encode())
    return state.hexdigest()[:16]


def _digest(path: str) -> bytes:
    if not os.path.isfile(path):  # a pipe would be waited for
        raise OSError
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
