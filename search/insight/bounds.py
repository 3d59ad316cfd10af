"""Where the good runs pile up at a bound of the space: there it may be too narrow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.distributions import BaseDistribution, CategoricalDistribution

from search.choice.choose import USEFUL
from search.results.trial_result import TrialResult

PILED = 0.5  # share of the good runs at a bound from which the space looks too narrow
FEWEST_GOOD = 4  # good runs from which anything is said of them
NEAR = 0.05  # of a range counts as its bound


@dataclass(frozen=True)
class Bound:
    """Where runs pile up."""

    parameter: str
    side: str  # `lower` or `upper` end of its range
    value: float  # of that end
    piled: int  # good runs that have it
    good: int  # good runs in all


def good_trials(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """The COMPLETE trials whose runs are feasible and within 10% of the lowest validation loss of one."""
    losses = {
        trial.number: trial.run.at_best.val_loss
        for trial in trials
        if trial.complete and trial.run is not None and trial.run.feasible
    }
    highest = (1 + USEFUL) * min(losses.values(), default=math.inf)
    return [trial for trial in trials if trial.number in losses and losses[trial.number] <= highest]


def piled_up(trials: Sequence[TrialResult]) -> list[Bound]:
    """Where half of the good runs (feasible, within 10% of the lowest loss) sit at a bound that could be moved."""
    good = good_trials(trials)
    if len(good) < FEWEST_GOOD:
        return []
    names = sorted({name for trial in good for name in trial.params})
    bounds = [_bound(good, name, side) for name in names for side in ("lower", "upper")]
    return [bound for bound in bounds if bound is not None]


def _bound(good: Sequence[TrialResult], name: str, side: str) -> Bound | None:
    having = [trial for trial in good if name in trial.params]
    distribution: BaseDistribution = having[0].distributions[name]
    if isinstance(distribution, CategoricalDistribution) or distribution.single():
        return None
    low, high = float(distribution.low), float(distribution.high)  # type: ignore[attr-defined]
    step = getattr(distribution, "step", None)
    values = 1 + (high - low) / step if step else math.inf
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
