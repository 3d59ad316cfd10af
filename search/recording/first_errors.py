"""A search whose first trials all end in an error, or hang, has a fault of its own, and ends."""

from collections.abc import Iterable

from search.results.trial_result import TrialResult
from search.stopping.stopped import Stopped

FIRST = 3  # trials that fail without exception: then it is no single trial's fault

FAULTS = (Stopped.ERROR, Stopped.HUNG)


class SearchFailed(Exception):
    """Every trial so far ended in an error or hung, or the space takes nothing that is drawn."""


class FirstErrors:
    """Watches the first trials that are asked for, until any trial ends without a fault.

    Those that come after them do not count: where many run side by side, the ones that fail are the first to end.
    Trials are named by their lineage, for one that lost its worker is queued again under another number.
    """

    def __init__(self, ended: Iterable[TrialResult]) -> None:
        """ended: the trials of earlier starts."""
        self._watching = all(result.stopped in FAULTS for result in ended)
        self._first: list[int] = []
        self._failed: set[int] = set()

    def asked(self, lineage: int) -> None:
        """A trial has been asked for."""
        if len(self._first) < FIRST and lineage not in self._first:
            self._first.append(lineage)

    def ended(self, lineage: int, result: TrialResult) -> None:
        """A trial has ended. Raises SearchFailed where the first ones have all failed by now, and no other has not."""
        if result.stopped not in FAULTS:
            self._watching = False
        if self._watching and lineage in self._first:
            self._failed.add(lineage)
            if len(self._failed) == FIRST:
                raise SearchFailed(f"the first {FIRST} trials failed; the last one with {result.reason}")
