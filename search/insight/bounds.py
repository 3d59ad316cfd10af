"""What a study teaches: which parameters matter, what a smaller gap costs, where the space is too narrow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
)
from optuna.trial import FrozenTrial

from search.choice.choose import USEFUL
from search.choice.run import Run

PILED = 0.5  # share of the good runs at a bound from which the space looks too narrow
FEWEST_GOOD = 4
NEAR = 0.05  # of a range counts as its bound


@dataclass(frozen=True)
class Bound:
    """`piled` of `good` runs have `parameter` at `value`, the `side` ("lower", "upper") end of its range."""

    parameter: str
    side: str
    value: float
    piled: int
    good: int


def good_runs(runs: Sequence[Run]) -> list[Run]:
    """The feasible runs within 10% of the lowest validation loss of one."""
    feasible = [run for run in runs if run.feasible]
    lowest = min((run.val_loss for run in feasible), default=math.inf)
    return [run for run in feasible if run.val_loss <= (1 + USEFUL) * lowest]


def piled_up(finished: Sequence[FrozenTrial], runs: Sequence[Run]) -> list[Bound]:
    """Where half of the good runs (feasible, within 10% of the lowest loss) sit at a bound that could be moved."""
    numbers = {run.number for run in good_runs(runs)}
    good = [trial for trial in finished if trial.number in numbers]
    if len(good) < FEWEST_GOOD:
        return []
    names = sorted({name for trial in good for name in trial.params})
    return [bound for name in names for side in ("lower", "upper") if (bound := _bound(good, name, side)) is not None]


def _bound(good: Sequence[FrozenTrial], name: str, side: str) -> Bound | None:
    having = [trial for trial in good if name in trial.params]
    distribution: BaseDistribution = having[0].distributions[name]
    if isinstance(distribution, CategoricalDistribution) or distribution.single():
        return None
    low, high = float(distribution.low), float(distribution.high)  # type: ignore[attr-defined]
    values = 1 + (high - low) / step if (step := getattr(distribution, "step", None)) else math.inf
    end = low if side == "lower" else high
    if values < 4 or _natural(name, side, end):
        return None
    scale = math.log if getattr(distribution, "log", False) else float
    positions = [(scale(float(trial.params[name])) - scale(low)) / (scale(high) - scale(low)) for trial in having]
    piled = sum(abs(position - (side == "upper")) <= NEAR for position in positions)
    return Bound(name, side, end, piled, len(having)) if piled >= PILED * len(having) else None


def _natural(name: str, side: str, end: float) -> bool:
    """Bounds that nobody can move: nothing goes below 0, and an augmentation strength not above 1."""
    return (side == "lower" and end == 0) or (name == "augmentation" and side == "upper" and end == 1)
