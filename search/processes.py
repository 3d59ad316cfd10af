"""The server that worker processes are forked from, and workers that leave the user's script alone."""

import contextlib
import ctypes
import fcntl
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import types
from collections.abc import Iterator, Mapping
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from multiprocessing.util import get_temp_dir
from pathlib import Path

from search.errors import UserError

# Networks allocate and free megabytes in every step. glibc takes them from the system page by page, unless it may ask
# for huge pages: a training step of one thread is 12% shorter in float32 then, 6% in bf16. Without glibc it is ignored.
ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}

MARK = "gapsearch.lock"  # in multiprocessing's temporary folder of a process of ours, which holds it locked

_LOCK = threading.Lock()


def start_fork_server() -> None:
    """Start the server, unless it runs: it imports what workers need while this process goes on with something else.

    Ctrl-C reaches the whole process group; in the middle of its imports it would end the server, so it is held back.
    """
    marked_temporary_folder()
    forkserver.set_forkserver_preload(["search.workers.preload"])
    resource_tracker.ensure_running()  # the server would start it, which lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the server inherits that
    try:
        with environment(ALLOCATOR):
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def marked_temporary_folder() -> Path:
    """The temporary folder of this process; those of killed processes of ours are removed, and this one is marked so.

    multiprocessing keeps the server's socket there, and removes it unless it is killed. The system lifts the lock of
    a dead process, so that is certain, in containers with process numbers of their own too.
    """
    folder = Path(get_temp_dir())
    with contextlib.suppress(OSError):  # a leftover does no harm
        if not (folder / MARK).exists():
            new = folder / f"new-{MARK}"  # it is locked before it has the name that others look for
            fcntl.flock(os.open(new, os.O_CREAT | os.O_RDWR), fcntl.LOCK_EX)  # never closed: until the process ends
            new.rename(folder / MARK)
        for mark in folder.parent.glob(f"pymp-*/{MARK}"):
            if _is_free(mark):
                shutil.rmtree(mark.parent, ignore_errors=True)
    return folder


def _is_free(lock: Path) -> bool:
    """Whether nobody holds that file locked, and it is not somebody else's."""
    try:
        with open(lock, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except OSError:  # also of a user whom it does not belong to
        return False


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These environment variables for processes started meanwhile; what the user has set stays."""
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


def start(process: BaseProcess) -> None:
    """Start a child. Raises UserError where the system has no room for another process."""
    try:
        process.start()
    except (OSError, EOFError) as error:  # EOFError: the fork server has failed, and is gone
        reason = getattr(error, "strerror", None) or "the server that forks them has ended"
        raise UserError(f"no process can be started: {reason}; end others, or raise the limit (ulimit -u)") from error


def how_it_ended(exit_code: int | None) -> str:
    """What completes "its process ...", of a child that ended before its work was done.

    exit_code: multiprocessing's: a signal's number, negative; None where it was never started, or has not ended.
    """
    if exit_code is None:
        return "could not be started, or is out of reach"
    if exit_code == -signal.SIGKILL:
        return "was killed (SIGKILL), perhaps for want of memory"
    if exit_code < 0:
        names = {number.value: number.name for number in signal.Signals}
        return f"was ended by {names.get(-exit_code, f'signal {-exit_code}')}, a fault in compiled code perhaps"
    return f"ended itself with exit code {exit_code}"


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


def hide_argument(text: str) -> None:
    """Overwrite `text` in the command line of this process, where everybody reads it: `ps` does. Linux alone.

    arg_start and arg_end, the 48th and 49th field of /proc/self/stat, say where it lies (proc(5)).
    """
    secret = os.fsencode(text)
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[45]), int(fields[46])
        at = ctypes.string_at(start, end - start).find(secret)
        if secret and at >= 0:
            ctypes.memset(start + at, ord("*"), len(secret))
