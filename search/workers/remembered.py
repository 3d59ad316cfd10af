"""What was measured on this machine, kept as JSON beside the image cache: the next search need not measure again."""

import contextlib
import hashlib
import json
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.data.cache import cache_folder
from search.files import locked, replace_file

MEASURED = re.compile(r"[a-z]+-[0-9a-f]{16}\.json")  # the files that hold it


def remembered(name: str, key: object, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `measure()`, a dict for JSON, was when it was last called on this machine for the same `name` and `key`.

    Timings vary from one moment to the next; what is decided by them should not. Where another process measures
    the same now, this waits for it and returns what it found. An empty dict says that nothing could be measured: it is
    not remembered.
    """
    digest = hashlib.sha256(repr((platform.node(), key)).encode()).hexdigest()[:16]
    path = cache_folder() / f"{name}-{digest}.json"
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # where nothing can be written, each process measures for itself
            stack.enter_context(locked(path.with_name(f".{path.stem}.lock"), f"measures this machine ({name})"))
        found = _read(path)
        if found is None:
            found = measure()
            if found:
                with contextlib.suppress(OSError):  # then it is measured again next time
                    replace_file(path, lambda scratch: scratch.write_text(json.dumps(found)))
    return found


def forget() -> None:
    """Remove all that is remembered on this machine."""
    with contextlib.suppress(OSError):  # no such folder, or one that may only be read
        for path in cache_folder().iterdir():
            if MEASURED.fullmatch(path.name):
                path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any] | None:
    """What was measured earlier; None where there is nothing, or nothing of use."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):  # missing; or no JSON, no text
        return None
    return content if isinstance(content, dict) and content else None
