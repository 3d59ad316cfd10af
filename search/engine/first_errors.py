"""A search whose first trials all end in an error has a fault of its own, and ends."""

from search.results.trial_result import TrialResult
from search.stopping.stopped import Stopped

ERRORS_IN_A_ROW = 3  # from the start: then it is no single trial's fault


class SearchFailed(Exception):
    """Every trial so far ended in an error."""


class FirstErrors:
    """Counts the errors in a row since the start, until a trial ends without one."""

    def __init__(self) -> None:
        self._errors: int | None = 0

    def ended(self, result: TrialResult) -> None:
        """A trial has ended. Raises SearchFailed where it and all before it failed."""
        if result.stopped != Stopped.ERROR:
            self._errors = None
        elif self._errors is not None:
            self._errors += 1
            if self._errors == ERRORS_IN_A_ROW:
                raise SearchFailed(f"the first {ERRORS_IN_A_ROW} trials failed; the last one with {result.reason}")
