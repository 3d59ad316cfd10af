"""The server that worker processes are forked from, and workers that leave the user's script alone."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator, Mapping
from multiprocessing import forkserver, resource_tracker

# Networks allocate and free megabytes in every step. glibc takes them from the system page by page, unless it may ask
# for huge pages: a training step of one thread is 12% shorter in float32 then, 6% in bf16. Without glibc it is ignored.
ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}

_LOCK = threading.Lock()


def start_fork_server() -> None:
    """Start the server, unless it runs: it imports what workers need while this process goes on with something else.

    Ctrl-C reaches the whole process group; in the middle of its imports it would end the server, so it is held back.
    """
    forkserver.set_forkserver_preload(["search.engine.preload"])
    resource_tracker.ensure_running()  # the server would start it, which lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the server inherits that
    try:
        with _environment(ALLOCATOR):
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Of processes started meanwhile; what the user has set stays."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def end_with_parent() -> None:
    """End this process, a child, when its parent has ended, whatever it does meanwhile."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextlib.contextmanager
def hidden_main() -> Iterator[None]:
    """Processes started meanwhile do not import the main script of this one.

    multiprocessing has every new process run that script, since what it is sent may be defined there. Ours are
    sent nothing of the kind, and a script without `if __name__ == "__main__"` would begin its search anew in
    each of them. It finds the script by the spec and the file of `__main__`. So a stand-in takes that place: it
    lacks these two and has all the rest, for other threads that use `__main__` at this moment.
    """
    with _LOCK:  # of two threads, the second must not take the first one's stand-in for the script
        main = sys.modules["__main__"]
        stand_in = types.ModuleType("__main__")
        vars(stand_in).update(vars(main) | {"__spec__": None, "__file__": None})
        sys.modules["__main__"] = stand_in
        try:
            yield
        finally:
            sys.modules["__main__"] = main
