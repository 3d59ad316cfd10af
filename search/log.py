"""What the library says while it works: records of the logger `search`, and how they reach the person at the screen.

Each module logs under its own name: `logging.getLogger(__name__)`. Where the application has set up logging, its
handlers get the records. Elsewhere `show_log` shows them.
"""

import functools
import logging
import sys
from typing import TYPE_CHECKING

from search.errors import printable

if TYPE_CHECKING:
    from rich.console import Console


@functools.cache
def console() -> "Console":
    """The one console of this process, on whatever sys.stdout is at the moment.

    A live view must be drawn on it: then messages appear above the view.
    """
    from rich.console import Console  # takes a tenth of a second, which --help need not wait for

    return Console(highlight=False)


class ScreenHandler(logging.Handler):
    """Bare messages on whatever sys.stdout is when they come.

    On a terminal a long line is left to the terminal to wrap, so that a path in it can be copied. Errors of the
    stream, such as BrokenPipeError, reach whoever logged, as those of `print` do.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record."""
        message = printable(self.format(record))
        if sys.stdout.isatty():
            from rich.text import Text

            console().print(Text(message), soft_wrap=True)
        else:
            print(message, flush=True)


_HANDLER = ScreenHandler()  # a single one: a logger takes the same handler only once, from threads too


def show_log() -> None:
    """Show what the library says, from INFO upwards, unless the application has set up logging for it."""
    logger = logging.getLogger("search")
    if not _is_set_up(logger):
        logger.addHandler(_HANDLER)
        logger.setLevel(logging.INFO)
        logger.propagate = False


def _is_set_up(logger: logging.Logger) -> bool:
    """Whether the application has taken care of this logger, or of the root logger.

    A root logger that shows warnings alone is no sign of it: any library's call of `logging.warning` makes one.
    """
    root = logging.getLogger()
    own = bool(logger.handlers) or logger.level != logging.NOTSET or not logger.propagate
    return own or (bool(root.handlers) and root.level <= logging.INFO)
