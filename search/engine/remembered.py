"""What was measured on this machine, kept as JSON beside the image cache: the next search need not measure again."""

import contextlib
import hashlib
import json
import platform
from collections.abc import Callable
from typing import Any

from search.data.cache import cache_folder
from search.files import replace_file


def remembered(name: str, key: object, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `measure()`, a dict for JSON, was when it was last called on this machine for the same `name` and `key`.

    Timings vary from one moment to the next; what is decided by them should not.
    """
    digest = hashlib.sha256(repr((platform.node(), key)).encode()).hexdigest()[:16]
    path = cache_folder() / f"{name}-{digest}.json"
    with contextlib.suppress(OSError, json.JSONDecodeError):
        return dict(json.loads(path.read_text()))
    measured = measure()
    with contextlib.suppress(OSError):  # then it is measured again next time
        replace_file(path, lambda scratch: scratch.write_text(json.dumps(measured)))
    return measured
