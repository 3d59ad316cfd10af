"""Files with the same content: an image that was copied, perhaps into another class."""

import contextlib
import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence


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


def _digest(path: str) -> bytes:
    if not os.path.isfile(path):  # a pipe would be waited for
        raise OSError
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
