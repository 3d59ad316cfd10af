"""Errors as the person at the terminal reads them."""

import os
import signal
import traceback


class UserError(Exception):
    """Bad input or a missing thing. Its message is one line: the culprit, then the remedy."""


class SearchInterrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM has ended a search. Everything is kept; the next start goes on from there.

    Like KeyboardInterrupt, it passes by `except Exception`.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number  # signal.SIGINT or signal.SIGTERM

    def __str__(self) -> str:
        return f"interrupted by {signal.Signals(self.signal).name}"


def described(error: BaseException, file: str | None = None) -> str:
    """One line: the kind of error, its message, and the line that raised it.

    With `file`, the last line inside that file: errors surface deep in libraries, their cause is the user's.
    """
    message = (str(error).splitlines() or [""])[0]
    text = f"{type(error).__name__}: {message}"
    frames = traceback.extract_tb(error.__traceback__)
    if file is not None:
        frames = [frame for frame in frames if frame.filename == file]  # type: ignore[assignment]
    if isinstance(error, SyntaxError) or not frames:  # a syntax error's message names the line
        return text
    return f"{text} ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})"
