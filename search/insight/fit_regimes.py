"""Fit regimes: which occurred among the runs, and where in the space."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from search.choice.fit import Fit
from search.insight.importance import importances, judged, measurements, reached_best, varying
from search.results.trial_result import TrialResult

ORDER = (Fit.GOOD, Fit.PARTIAL_OVERFIT, Fit.TRUE_OVERFIT, Fit.UNDERFIT)


@dataclass(frozen=True)
class Regime:
    """The runs of one fit regime that reached their best."""

    fit: Fit
    trials: tuple[TrialResult, ...]
    where: dict[str, str]  # the middle half of the runs, by parameter

    @property
    def val_loss(self) -> float:
        """The median, in nats."""
        return median(at_best.val_loss for at_best in measurements(self.trials))

    @property
    def gap(self) -> float:
        """The median, in nats, signed."""
        return median(at_best.gap for at_best in measurements(self.trials))


def regimes(trials: Sequence[TrialResult], parameters: Sequence[str]) -> list[Regime]:
    """The fit regimes that occurred, and where in these parameters."""
    by_fit: dict[Fit, list[TrialResult]] = {fit: [] for fit in ORDER}
    for trial in reached_best(trials):
        if trial.run is not None:
            by_fit[trial.run.fit].append(trial)
    return [Regime(fit, tuple(of_fit), _where(of_fit, parameters)) for fit, of_fit in by_fit.items() if of_fit]


def strongest_parameters(trials: Sequence[TrialResult]) -> list[str]:
    """The two parameters with the largest share in the gap's variance; where that is unknown, the first two."""
    known = varying(judged(trials))
    ranked = [name for name in importances(trials, "gap") if name in known]
    return (ranked + [name for name in known if name not in ranked])[:2]


def _where(trials: Sequence[TrialResult], parameters: Sequence[str]) -> dict[str, str]:
    drawn = {name: [trial.params[name] for trial in trials if name in trial.params] for name in parameters}
    return {name: _middle_half(values) if values else "-" for name, values in drawn.items()}


def _middle_half(values: Sequence[Any]) -> str:
    """Of numbers the quartiles; of categories the most frequent one."""
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return max(sorted(map(str, values)), key=[str(value) for value in values].count)
    if len(values) == 1:
        return f"{values[0]:.3g}"
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{low:.3g} to {high:.3g}"
