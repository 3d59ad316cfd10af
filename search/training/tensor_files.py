"""Files that `torch.save` writes: put there as a whole, and known by their check sums when they are read."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from search.files import replace_file


class DamagedFile(Exception):
    """A file does not hold what was written to it, or cannot be read. The message says why in a few words."""


def save_tensors(path: Path, content: object) -> None:
    """Write `content` to `path` as a whole. Raises OSError where that fails, and leaves what was there.

    torch.save itself answers to a full disk with a RuntimeError that does not say so.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    replace_file(path, lambda scratch: scratch.write_bytes(buffer.getbuffer()))


def load_tensors(path: Path, device: torch.device | str = "cpu") -> Any:  # noqa: ANN401
    """What `save_tensors` wrote, its tensors on `device`; nothing in the file is run.

    Raises DamagedFile. torch.load itself does not look at the check sums in the file.
    """
    try:
        with zipfile.ZipFile(path) as parts:
            damaged = parts.testzip()
        if damaged is not None:
            raise DamagedFile(f"the check sum of {damaged} is wrong")
        return torch.load(path, map_location=device, weights_only=True)
    except DamagedFile:
        raise
    except Exception as error:  # garbage raises nearly anything
        raise DamagedFile(_reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__
