"""A tracker that is fed in a thread of its own: one that is slow, or fails, does not hold up the search."""

import importlib.util
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from search.errors import UserError, one_line
from search.measurement import History
from search.results.trial_result import TrialResult

logger = logging.getLogger(__name__)

LONGEST = 300  # signs of an error that are shown
BEGIN_SECONDS = 20.0  # to connect, and to write what earlier starts have not
CLOSE_SECONDS = 3.0  # to write what is left at the end


class Sink(Protocol):
    """Where a tracker writes. Each method may take its time, and may raise."""

    def begin(self, ended: Sequence[TrialResult]) -> None:
        """Bring what earlier starts left to where the study is. ended: all trials with a result."""

    def epoch(self, number: int, history: History) -> None:
        """A running trial has measured another epoch. history: its curves from its first epoch on."""

    def forget(self, number: int) -> None:
        """A trial that is to be seen no more: another one stands for it."""

    def ended(self, trial: TrialResult) -> None:
        """A trial has its result."""

    def close(self) -> None:
        """This start of the search is over."""


class Tracker:
    """Hands on to a sink what a search tells; after the sink's first error nothing more, which is said once.

    flag: of the command line, by which the person knows it. scrubbed: a text without what nobody may see.
    """

    def __init__(self, flag: str, sink: Sink, scrubbed: Callable[[str], str] = lambda text: text) -> None:
        self._flag, self._sink, self._scrubbed = flag, sink, scrubbed
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._failure: str | None = None
        self._said = False
        self._thread = threading.Thread(target=self._work, name=f"tracking {flag}", daemon=True)
        self._thread.start()

    def begin(self, ended: Sequence[TrialResult]) -> None:
        """See `Sink`. Waits for it for a while, so that what cannot work is said before the search begins."""
        begun = threading.Event()

        def begin() -> None:
            try:
                self._sink.begin(ended)
            finally:
                begun.set()

        self._put(begin)
        begun.wait(BEGIN_SECONDS)
        self._tell()

    def epoch(self, number: int, history: History) -> None:
        """Of a running trial."""
        self._put(lambda: self._sink.epoch(number, history))

    def dropped(self, number: int) -> None:
        """A running trial is queued again."""
        self._put(lambda: self._sink.forget(number))

    def ended(self, trial: TrialResult) -> None:
        """Where it was ended by hand, or takes another one further, one of the two is forgotten."""
        self._put(lambda: self._sink.ended(trial) if trial.ended else self._sink.forget(trial.number))
        if trial.ended and (before := trial.continues) is not None:
            self._put(lambda: self._sink.forget(before))

    def close(self) -> None:
        """Wait for what is left to be written, for a while."""
        self._put(self._sink.close)
        self._jobs.put(None)
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive() and self._failure is None:
            self._failure = f"it took more than {CLOSE_SECONDS:.0f} s to write what was left"
        self._tell()

    def _put(self, job: Callable[[], None]) -> None:
        self._tell()
        self._jobs.put(job)

    def _tell(self) -> None:
        if self._failure is not None and not self._said:
            self._said = True
            logger.warning(f"{self._flag}: {self._failure}; the search goes on without it")

    def _work(self) -> None:
        """The thread's life."""
        while (job := self._jobs.get()) is not None:
            if self._failure is None:
                try:
                    job()
                except Exception as error:
                    first = (str(error).strip().splitlines() or [""])[0]
                    self._failure = one_line(self._scrubbed(f"{type(error).__name__}: {first}"))[:LONGEST]


def require_package(flag: str, package: str, extra: str) -> None:
    """Raises UserError where a flag's package is not installed."""
    if importlib.util.find_spec(package) is None:
        raise UserError(f"{flag} needs the package {package}; install it with pip install 'gapsearch[{extra}]'")
