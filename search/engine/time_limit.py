"""How long a start of a search may take, its race included."""

import math
import time
from collections.abc import Callable, Sequence

from search.choice.race import Race
from search.choice.run import Run

FOR_TRIALS = 0.8  # of the time; the rest is the race's, which may cost a fifth of the epochs


class TimeLimit:
    """`--timeout` from now on: when all has to end, and when trials have to make room for the race.

    timeout: seconds; None for any. race: whether there is one. clock: seconds that only grow.
    """

    def __init__(self, timeout: float | None, *, race: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._race = clock, race
        began, seconds = clock(), math.inf if timeout is None else timeout
        self._race_from, self._end = began + FOR_TRIALS * seconds, began + seconds

    def over(self) -> bool:
        """Whether all has to end."""
        return self._clock() >= self._end

    def race_is_due(self, runs: Sequence[Run]) -> bool:
        """Whether trials have had their share of the time, and as many `runs` may be chosen as a race needs."""
        late = self._race and self._clock() >= self._race_from
        return late and sum(run.feasible for run in runs) >= Race.fewest
