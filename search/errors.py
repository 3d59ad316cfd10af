"""Errors as the person at the terminal reads them."""

import os
import signal
import traceback
import unicodedata

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # Unicode's categories of what is no sign that a person sees
HARMLESS = "\n\t\u200c\u200d"  # line breaks, tabs, and what joins letters and emoji


class UserError(Exception):
    """Bad input or a missing thing. Its message is one line: the culprit, then the remedy.

    What a terminal would obey, in the name of a file perhaps, is written as escapes.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class BadTrial(UserError):
    """The space makes no configuration of what a trial has drawn, or was queued with. The search can go on without it.

    queued: somebody has queued it, so its values are to blame and not the space.
    """

    def __init__(self, message: str, *, queued: bool = False) -> None:
        super().__init__(message)
        self.queued = queued


class Unwanted(BadTrial):
    """The space itself turns down what it has drawn, by raising optuna.TrialPruned."""


class SearchInterrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM has ended a search or a confirmation. What it has is kept; the next start goes on from there.

    Like KeyboardInterrupt, it passes by `except Exception`.
    """

    def __init__(self, number: int, stand: str | None = None) -> None:
        super().__init__(number)
        self.signal = number  # signal.SIGINT or signal.SIGTERM
        self.stand = stand  # what is kept and how to go on, where nothing else has said so

    def __str__(self) -> str:
        return f"interrupted by {signal.Signals(self.signal).name}"


def printable(text: str) -> str:
    """`text` with escapes for what a terminal would obey instead of showing it.

    That is control characters, marks that turn the direction of writing, and bytes that are no UTF-8. Line breaks stay.
    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign in HARMLESS or unicodedata.category(sign) not in HIDDEN else _escaped(sign) for sign in text
    )


def one_line(text: str) -> str:
    """`printable`, with escapes for line breaks and tabs too."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


def described(error: BaseException, file: str | None = None) -> str:
    """One line: the kind of error, its message, and the line that raised it.

    With `file`, the last line inside that file: errors surface deep in libraries, their cause is the user's.
    """
    message = (str(error).splitlines() or [""])[0].rstrip(".")
    text = f"{type(error).__name__}: {message}"
    frames = traceback.extract_tb(error.__traceback__)
    if file is not None:
        frames = [frame for frame in frames if frame.filename == file]  # type: ignore[assignment]
    if isinstance(error, SyntaxError) or not frames:  # a syntax error's message names the line
        return text
    return f"{text} ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})"
