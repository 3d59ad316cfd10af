"""Images as files that every worker maps: written once under a stamp, found again at the next start."""

import contextlib
import hashlib
import json
import os
import platform
from collections.abc import Callable
from typing import Any

from search.data.cache import cache_folder


def remembered(name: str, key: object, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `measure()` gave when it was last asked on this machine, for the same `key`.

    Timings vary from one moment to the next; what is decided by them should not.
    """
    digest = hashlib.sha256(repr((platform.node(), key)).encode()).hexdigest()[:16]
    path = cache_folder() / f"{name}-{digest}.json"
    with contextlib.suppress(OSError, json.JSONDecodeError):
        return dict(json.loads(path.read_text()))
    measured = measure()
    with contextlib.suppress(OSError):  # then it is measured again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        scratch.write_text(json.dumps(measured))
        scratch.replace(path)
    return measured
