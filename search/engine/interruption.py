"""Ctrl-C and SIGTERM while a search runs."""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any


class Interruption:
    """Ctrl-C or SIGTERM: the first asks to stop, and shows as `signal`; a second one ends the process at once."""

    def __init__(self, last_words: Callable[[], None]) -> None:
        self.signal: int | None = None
        self._last_words = last_words
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: object) -> None:
        if self.signal is not None:
            self._last_words()
            os._exit(128 + number)
        self.signal = number
