"""How long a start of a search may take, its race included."""

import math
import time
from collections.abc import Callable, Sequence

from search.choice.constraints import Constraints
from search.choice.race import Race
from search.choice.run import Run, run_at_best
from search.measurement import History

FOR_TRIALS = 0.8  # of the time; the rest is the race's, which may cost a fifth of the epochs
LAST_SECONDS = 10.0  # after the time, for an epoch to end where nothing may be chosen yet
OUT_OF_TIME = "the time was over before a run that may be chosen had ended"


class TimeLimit:
    """`--timeout` from now on: when all has to end, and when trials have to make room for the race.

    timeout: seconds; None for any. race: whether there is one. clock: seconds that only grow.
    """

    def __init__(self, timeout: float | None, *, race: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._race = clock, race
        began, seconds = clock(), math.inf if timeout is None else timeout
        self._race_from, self._end = began + FOR_TRIALS * seconds, began + seconds

    def left(self) -> float:
        """Seconds until all has to end; infinity for any."""
        return self._end - self._clock()

    def over(self) -> bool:
        """Whether all has to end."""
        return self._clock() >= self._end

    def race_is_due(self, runs: Sequence[Run]) -> bool:
        """Whether trials have had their share of the time, and as many `runs` may be chosen as a race needs."""
        late = self._race and self._clock() >= self._race_from
        return late and sum(run.feasible for run in runs) >= Race.fewest


def is_result(history: History, constraints: Constraints) -> bool:
    """Whether a run so far may be chosen; its first epoch alone does not show whether it still improves."""
    run = run_at_best(0, history, constraints)
    return run is not None and run.feasible and len(history["val_loss"]) > 1
