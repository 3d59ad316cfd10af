"""Waiting for an SQLite database that another process holds.

SQLite itself waits where no Ctrl-C can reach it. So it is let to wait a second at a time.
"""

import functools
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

TURN_SECONDS = 1.0  # that SQLite waits at a time
PAUSE_SECONDS = 0.05  # after a refusal: some come at once
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY)

T = TypeVar("T")


@dataclass
class Patience:
    """How long to wait, and what for."""

    place: str  # the database, as it may be shown
    seconds: float

    def until_free(self, step: Callable[[], T]) -> T:
        """What `step` gives, tried again while another process holds the database.

        Raises sqlite3.OperationalError where that lasts too long, and whatever else `step` raises.
        """
        began, told = time.monotonic(), False
        while True:
            try:
                return step()
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() - began > self.seconds:
                    raise
            if not told:
                logger.info(f"waiting for {self.place}: another process holds it")
                told = True
            time.sleep(PAUSE_SECONDS)

    def connect_args(self) -> dict[str, Any]:
        """What `sqlite3.connect` needs besides the file."""
        return {"timeout": TURN_SECONDS, "factory": functools.partial(_Connection, patience=self)}


def is_busy(error: BaseException | None) -> bool:
    """Whether SQLite says that another process holds the database."""
    return isinstance(error, sqlite3.OperationalError) and getattr(error, "sqlite_errorcode", None) in BUSY


class _Connection(sqlite3.Connection):
    def __init__(self, *arguments: Any, patience: Patience, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **options)
        self.patience = patience

    def cursor(self, factory: Any = None) -> Any:  # noqa: ANN401
        return super().cursor(factory or _Cursor)

    def commit(self) -> None:
        self.patience.until_free(super().commit)


class _Cursor(sqlite3.Cursor):
    connection: _Connection

    def execute(self, statement: str, parameters: Any = ()) -> "_Cursor":  # noqa: ANN401
        return self.connection.patience.until_free(lambda: super(_Cursor, self).execute(statement, parameters))

    def executemany(self, statement: str, parameters: Iterable[Any]) -> "_Cursor":
        rows = list(parameters)  # to be read once more, perhaps
        return self.connection.patience.until_free(lambda: super(_Cursor, self).executemany(statement, rows))
