"""What a trial does when its files fail it: a full disk is waited for, a damaged checkpoint is no reason to give up."""

import contextlib
import errno
import time
from collections.abc import Callable
from pathlib import Path

from search.files import set_aside
from search.training.tensor_files import DamagedFile

RETRY_SECONDS = 3.0  # between two attempts to write
TURN_SECONDS = 0.1  # between two questions whether to give up

Say = Callable[[str], None]  # a line for the person at the screen; the same line is shown once


def write_patiently(write: Callable[[], None], folder: Path, say: Say, interrupted: Callable[[], bool]) -> bool:
    """Call `write` until it succeeds: a full disk is no fault of the trial. Says so whenever it fails.

    folder: where it writes. Returns False where it was interrupted before it succeeded.
    """
    while True:
        try:
            write()
            return True
        except OSError as error:
            say(f"cannot write to {folder}: {error.strerror}; {_remedy(error)}: gapsearch waits, and goes on then")
        retry_at = time.monotonic() + RETRY_SECONDS
        while time.monotonic() < retry_at:
            if interrupted():
                return False
            time.sleep(TURN_SECONDS)


def write_or_skip(write: Callable[[], None], folder: Path, say: Say, consequence: str) -> bool:
    """Call `write` once; whether it succeeded. Where it does not, that is said, and the consequence with it."""
    try:
        write()
        return True
    except OSError as error:
        say(f"cannot write to {folder}: {error.strerror}; {_remedy(error)}: {consequence}")
        return False


def discard_checkpoint(path: Path, number: int, damage: DamagedFile, say: Say) -> None:
    """Set the damaged checkpoint of trial `number` aside, and say so."""
    with contextlib.suppress(OSError):  # then the next checkpoint takes its place
        set_aside(path)
    say(f"the checkpoint {path} is damaged ({damage}): it is set aside, and trial {number} starts afresh")


def _remedy(error: OSError) -> str:
    return "make room there" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "mend that"
