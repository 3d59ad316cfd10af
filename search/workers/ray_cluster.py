"""Being connected to a Ray cluster for the time of a search, and what all its nodes are given."""

import contextlib
import logging
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib

from search.errors import UserError, described
from search.processes import ALLOCATOR, environment, marked_temporary_folder

LOCAL = "local"  # a cluster of this machine alone, which ends with the search
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # the latter: 127.0.0.1 alone


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to the cluster at `address` meanwhile: "auto" for the one that runs here, "local", None for none.

    A program that is connected already stays so. Raises UserError where there is no such cluster, or no Ray.
    """
    with contextlib.ExitStack() as stack:
        if address == LOCAL:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True))
            here = {"num_cpus": joblib.cpu_count(), "include_dashboard": False, "_temp_dir": folder}
            with environment(QUIET | ALLOCATOR | {"TMPDIR": folder}):  # Ray looks at them when it is imported, too
                _connect(address, here, stack)
        elif address is not None:
            _connect(address, {"address": address}, stack)
        yield


def _connect(address: str, where: dict[str, Any], stack: contextlib.ExitStack) -> None:
    """where: arguments of `ray.init`. stack: of what ends the connection."""
    try:
        import ray

        logging.getLogger("ray").setLevel(logging.ERROR)
        if not ray.is_initialized():
            ray.init(**where, log_to_driver=False, configure_logging=False)
            stack.callback(ray.shutdown)
    except ImportError as error:
        raise UserError("--ray needs Ray, which is not installed: pip install 'gapsearch[ray]'") from error
    except Exception as error:  # Ray raises nearly anything
        raise UserError(
            f"cannot reach Ray at --ray {address}: {described(error)}; start a cluster with `ray start --head`, "
            f"or take --ray local"
        ) from error


@dataclass(frozen=True)
class Files:
    """What building a network needs, of a space and of weights to begin with, on machines that do not have it."""

    contents: Mapping[str, bytes]  # by name
    paths: tuple[str, ...]  # where this process looks for modules, those beside a space's file perhaps

    @classmethod
    def read(cls, *paths: Path) -> "Files":
        """Those of `paths` that are there."""
        return cls({path.name: path.read_bytes() for path in paths if path.is_file()}, tuple(sys.path))

    def unpack(self) -> Path:
        """The folder of this process, which has them now; it looks for modules where the other process does."""
        folder = marked_temporary_folder()
        for name, content in self.contents.items():
            (folder / name).write_bytes(content)
        sys.path.extend(path for path in self.paths if path not in sys.path)
        return folder
