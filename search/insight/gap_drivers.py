"""Which hyperparameters closed the gap: only those that stand out from noise, with their numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from optuna.distributions import CategoricalDistribution

from search.insight.importance import FEWEST, judged, measurements, varying
from search.results.trial_result import TrialResult

MOST = 3
SIGNIFICANCE = 0.05  # over all parameters together (Bonferroni)


@dataclass(frozen=True)
class GapDriver:
    """A parameter whose setting goes with a smaller gap. Losses and gaps are medians over runs, in nats."""

    parameter: str
    setting: str  # where the gap is small, in words: `augmentation of at least 0.52`
    inside: int  # runs with that setting
    outside: int  # runs without it
    gap_inside: float
    gap_outside: float
    loss_inside: float
    loss_outside: float
    loss_differs: bool  # beyond noise (Mann-Whitney)


def gap_drivers(trials: Sequence[TrialResult]) -> list[GapDriver]:
    """At most three parameters, the strongest first, that closed the gap; none with fewer than 8 runs.

    Judged over all trials that reached their best and did not diverge, by forward selection in the linear model of
    ranks (Iman and Conover, 1979): a parameter counts where an F test passes beside those already taken, so that one
    that merely went along with another does not. The difference of median gaps must exceed the standard error of one
    gap, too.
    """
    reached = judged(trials)
    if len(reached) < FEWEST:
        return []
    measured = measurements(reached)
    taken = _selected(reached, np.array([at_best.gap for at_best in measured]))
    error = median(at_best.gap_se for at_best in measured)
    drivers = [_driver(reached, name) for name in taken]
    return [driver for driver in drivers if driver is not None and driver.gap_outside - driver.gap_inside > error]


def _selected(reached: Sequence[TrialResult], gaps: np.ndarray) -> list[str]:
    from scipy.stats import f, rankdata

    columns = {name: _columns(reached, name) for name in varying(reached)}
    target, model, taken = rankdata(gaps), np.ones((len(reached), 1)), list[str]()
    while len(taken) < min(MOST, len(columns)):
        tests = {}
        for name in columns.keys() - set(taken):
            larger = np.hstack([model, columns[name]])
            added = columns[name].shape[1]
            free = len(reached) - larger.shape[1]
            before, after = _residual(model, target), _residual(larger, target)
            if free > 0 and before > 0:
                tests[name] = float(f.sf((before - after) / added / max(after / free, 1e-12), added, free))
        best = min(tests, key=lambda name: (tests[name], name), default=None)
        if best is None or tests[best] > SIGNIFICANCE / len(columns):
            break
        taken.append(best)
        model = np.hstack([model, columns[best]])
    return taken


def _columns(reached: Sequence[TrialResult], name: str) -> np.ndarray:
    """A parameter in the model: the ranks of numbers, or one column of 0 and 1 for each further category."""
    from scipy.stats import rankdata

    values = [trial.params[name] for trial in reached]
    if not isinstance(reached[0].distributions[name], CategoricalDistribution):
        return rankdata(values)[:, None]
    categories = sorted(set(values), key=str)[1:]
    return np.array([[float(value == category) for category in categories] for value in values])


def _residual(model: np.ndarray, target: np.ndarray) -> float:
    """Sum of squares that a linear model leaves."""
    return float(np.sum((target - model @ np.linalg.lstsq(model, target, rcond=None)[0]) ** 2))


def _driver(reached: Sequence[TrialResult], name: str) -> GapDriver | None:
    """Where the gap is smaller: above or below the parameter's median, or at one of its categories."""
    drivers = [_compared(reached, name, setting, inside) for setting, inside in _settings(reached, name)]
    return max(drivers, key=lambda driver: driver.gap_outside - driver.gap_inside, default=None)


def _compared(reached: Sequence[TrialResult], name: str, setting: str, inside: Sequence[bool]) -> GapDriver:
    from scipy.stats import mannwhitneyu

    within = measurements([trial for trial, belongs in zip(reached, inside, strict=True) if belongs])
    without = measurements([trial for trial, belongs in zip(reached, inside, strict=True) if not belongs])
    losses = [[at_best.val_loss for at_best in side] for side in (within, without)]
    return GapDriver(
        parameter=name,
        setting=setting,
        inside=len(within),
        outside=len(without),
        gap_inside=median(at_best.gap for at_best in within),
        gap_outside=median(at_best.gap for at_best in without),
        loss_inside=median(losses[0]),
        loss_outside=median(losses[1]),
        loss_differs=bool(mannwhitneyu(*losses).pvalue < SIGNIFICANCE),
    )


def _settings(reached: Sequence[TrialResult], name: str) -> list[tuple[str, list[bool]]]:
    """Ways to part the runs by a parameter: in words, and which of them belong."""
    values = [trial.params[name] for trial in reached]
    if isinstance(reached[0].distributions[name], CategoricalDistribution):
        return [(f"{name} {one}", [value == one for value in values]) for one in dict.fromkeys(values)]
    splits = sorted(set(values))[1:]
    split = min(splits, key=lambda split: abs(2 * sum(value < split for value in values) - len(values)))
    above = [value >= split for value in values]  # as near to halves as ties allow
    return [
        (f"{name} of at least {split:.3g}", above),
        (f"{name} below {split:.3g}", [not belongs for belongs in above]),
    ]
