"""Ctrl-C, SIGTERM and SIGHUP while a search runs, also while its main thread waits for a locked database."""

import contextlib
import logging
import os
import select
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing.util import get_temp_dir
from typing import Any

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STUCK_SECONDS = 4.0  # without a sign of life from the main thread, after which an interruption ends the process
LOOK_SECONDS = 0.5


class Interruption:
    """The first signal asks to stop, and shows as `signal`; a second one ends the process at once.

    Python runs signal handlers between two steps of the main thread, so none runs while that waits inside a database
    call. A thread of its own sees the signal all the same. It ends the process where the main thread gives no sign of
    life, by `beat`, for `STUCK_SECONDS`: a search can be killed at any time, its next start takes up what was running.
    """

    def __init__(self, last_words: Callable[[], None]) -> None:
        self.signal: int | None = None
        self._last_words = last_words
        self._before: dict[int, Any] = {}
        self._beat = time.monotonic()
        self._writer: socket.socket | None = None  # where signals are noted down, once entered

    def beat(self) -> None:
        """The main thread is alive."""
        self._beat = time.monotonic()

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
                self._before[number] = signal.signal(number, self._handle)
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self.beat()
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is None:
            return
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
        self._writer.close()  # which ends the thread

    def _handle(self, number: int, frame: object) -> None:
        if self.signal is not None:
            self._end(number)
        self.signal = number

    def _watch(self) -> None:
        """In a thread: read the numbers of signals as they come, and look at the main thread."""
        with self._reader:
            seen: int | None = None
            while True:
                readable, _, _ = select.select([self._reader], [], [], LOOK_SECONDS)
                if readable:
                    numbers = self._reader.recv(16)
                    if not numbers:
                        return
                    # other signals arrive here too, where somebody handles them: a change of the window's size
                    seen = next((number for number in numbers if number in self._before), seen)
                if seen is not None and time.monotonic() - self._beat > STUCK_SECONDS:
                    logger.warning("it could not end in time; what was running is taken up at the next start")
                    self._end(seen)

    def _end(self, number: int) -> None:
        with contextlib.suppress(Exception):  # nothing may keep the process alive now
            self._last_words()
            shutil.rmtree(get_temp_dir())  # the fork server's, which a process that ends by itself removes
        os._exit(128 + number)
