"""What a study teaches: which parameters matter, what a smaller gap costs, where the space is too narrow."""

import functools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    distribution_to_json,
    json_to_distribution,
)
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, create_trial

from search.selection import USEFUL, Run
from search.stopping import DIVERGED, FINISHED, OVERFIT

FEWEST = 8  # runs from which anything is said about importance
MOST = 300  # runs that importance is computed from, evenly spaced where there are more: fANOVA takes 1 s for each 100
DEPTH = 6  # of fANOVA's trees: unbounded ones take 20 times as long for 800 runs, and give the same shares to 1 point
PRICES = (0.0, 0.02, 0.05, 0.10)
PILED = 0.5  # share of the good runs at a bound from which the space looks too narrow
FEWEST_GOOD = 4
NEAR = 0.05  # of a range counts as its bound
REACHED_BEST = (FINISHED, OVERFIT, DIVERGED)


@dataclass(frozen=True)
class Bound:
    """`piled` of `good` runs have `parameter` at `value`, the `side` ("lower", "upper") end of its range."""

    parameter: str
    side: str
    value: float
    piled: int
    good: int


def reached_best(finished: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials whose best epoch is their best: all but those given up before, whose figures are censored."""
    return [
        trial
        for trial in finished
        if trial.user_attrs.get("stopped") in REACHED_BEST and trial.user_attrs.get("val_loss") is not None
    ]


def thinned(finished: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that importance is computed from: those that reached their best, or 300 of them, evenly spaced."""
    reached = reached_best(finished)
    return reached[:: -(-len(reached) // MOST)] if reached else []


def importances(finished: Sequence[FrozenTrial], target: str) -> dict[str, float]:
    """The share of each parameter in the variance of the attribute `target`, largest first (fANOVA).

    Computed from the best epochs of all trials that reached their best, PRUNED ones included: those that
    survived were selected for not overfitting. Empty with fewer than 8 such trials, or where nothing varies.
    """
    reached = thinned(finished)
    values = [trial.user_attrs[target] for trial in reached]
    if len(reached) < FEWEST or max(values) == min(values):
        return {}
    points = [
        (trial.params, {name: distribution_to_json(known) for name, known in trial.distributions.items()}, value)
        for trial, value in zip(reached, values, strict=True)
    ]
    return dict(_shares(json.dumps(points)))  # as Optuna stores them: choices may be lists


@functools.lru_cache(maxsize=4)  # the graph, the terminal and the report ask for the same, one after the other
def _shares(points: str) -> dict[str, float]:
    """fANOVA of points, as JSON: each with its parameters, their ranges, and a value."""
    study = optuna.create_study()
    study.add_trials(
        [
            create_trial(
                params=params,
                distributions={name: json_to_distribution(known) for name, known in distributions.items()},
                value=value,
            )
            for params, distributions, value in json.loads(points)
        ]
    )
    return get_param_importances(study, evaluator=FanovaImportanceEvaluator(max_depth=DEPTH, seed=0))


def price_list(runs: Sequence[Run]) -> list[tuple[float, Run]]:
    """For each of `PRICES` (shares of the lowest validation loss): the feasible run of smallest gap within it."""
    feasible = [run for run in runs if run.feasible]
    if not feasible:
        return []
    lowest = min(run.val_loss for run in feasible)
    return [
        (
            price,
            min((run for run in feasible if run.val_loss <= (1 + price) * lowest), key=lambda run: run.objectives[1]),
        )
        for price in PRICES
    ]


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
