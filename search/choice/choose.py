"""The choice within noise: of the runs that cannot be told from the best, the one with the smallest gap."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.choice.constraints import Constraints
from search.choice.pareto import front
from search.choice.run import Run
from search.measurement import paired_difference

USEFUL = 0.10  # a run this far above the best validation loss may still be chosen
BAND_Z = 1.0  # standard errors within which a validation loss cannot be told from the best


@dataclass(frozen=True)
class Choice:
    """Which run was chosen, over which others, and why."""

    run: Run
    band: tuple[Run, ...]  # the runs that noise cannot tell from the best, the chosen one among them
    reason: str  # what completes "it was chosen: ..."

    def as_dict(self) -> dict[str, Any]:
        """For the study's attributes; runs by number."""
        return {"trial": self.run.number, "band": [run.number for run in self.band], "because": self.reason}


def candidates(runs: Sequence[Run], most: int = 50, *, seeds: float = 0.0) -> list[Run]:
    """The feasible runs that may still be chosen: within 10% (or noise) of the best, the best `most` of them.

    seeds: standard deviation of a difference in validation loss over seeds, in nats, where that was measured.
    """
    feasible = [run for run in runs if run.feasible]
    if not feasible:
        return []
    best = min(feasible, key=lambda run: run.at_best.val_loss)

    def reach(run: Run) -> float:  # by the errors of both: a lucky run reports a small one of its own
        noise = math.hypot(run.at_best.val_loss_se, best.at_best.val_loss_se, seeds)
        return max(USEFUL * best.at_best.val_loss, 2 * noise)

    close = [run for run in feasible if run.at_best.val_loss - best.at_best.val_loss <= reach(run)]
    return sorted(close, key=lambda run: run.at_best.val_loss)[:most]


def nearest(runs: Sequence[Run], constraints: Constraints) -> Run | None:
    """Where nothing is feasible: the run whose largest violation is smallest."""
    return min(
        runs,
        key=lambda run: (max(constraints.violations(run.at_best.val_loss, run.at_best.gap).values()), run.number),
        default=None,
    )


def choose(
    runs: Sequence[Run], val_losses: Mapping[int, np.ndarray], seed_std: float | None = None, trainings: int = 1
) -> Choice | None:
    """Choose within noise; None where no run is feasible.

    trainings: of each run, with as many seeds, whose means its figures are.

    1. The band: feasible runs whose validation loss d above the lowest may be noise, d <= z sqrt(i^2 + 2 s^2 / k). i is
       the image noise: the standard error of the paired difference where `val_losses` holds both runs' per-image losses
       (shape (n,), by number), else of the unpaired one. s is the seed noise: `seed_std`, the standard deviation
       of a validation loss over seeds (nats), which both runs have; left out where it was not measured. k is
       `trainings`, z is `BAND_Z`.
    2. Of the band, the runs that no other of the band beats in both objectives.
    3. Of these the smallest gap; gaps within a standard error of it tie, and ties go to the lower
       validation loss, then to fewer parameters.
    """
    seeds = math.sqrt(2 / trainings) * (seed_std or 0.0)
    close = candidates(runs, seeds=seeds)
    if not close:
        return None
    best = close[0]
    band = [
        run
        for run in close
        if run.at_best.val_loss - best.at_best.val_loss
        <= BAND_Z * math.hypot(difference_se(run, best, val_losses), seeds)
    ]
    qualified = front(band)
    smallest = min(qualified, key=lambda run: run.objectives[1])
    tied = [run for run in qualified if run.objectives[1] - smallest.objectives[1] <= _finite(smallest.at_best.gap_se)]
    chosen = min(tied, key=lambda run: (run.at_best.val_loss, run.parameters, run.number))
    return Choice(chosen, tuple(band), _reason(chosen, best, band, smallest, seed_std, trainings))


def difference_se(run: Run, best: Run, val_losses: Mapping[int, np.ndarray]) -> float:
    """Of the difference in validation loss, from the images; 0 where nothing finite is known of it."""
    if run.number in val_losses and best.number in val_losses:
        error = paired_difference(val_losses[run.number], val_losses[best.number])[1]
        if math.isfinite(error):
            return error
    return _finite(math.hypot(run.at_best.val_loss_se, best.at_best.val_loss_se))


def _finite(error: float) -> float:
    return error if math.isfinite(error) else 0.0


def _reason(chosen: Run, best: Run, band: Sequence[Run], smallest: Run, seed_std: float | None, trainings: int) -> str:
    lowest = f"{best.at_best.val_loss:.4f}"
    loss = "validation loss" if trainings == 1 else f"mean validation loss over {trainings} seeds"
    noise = "noise" if seed_std is None else f"noise (seeds alone: {seed_std:.4f})"
    if len(band) == 1:
        return f"the lowest {loss}, {lowest}, and no other run is within {noise} of it"
    close = f"of the {len(band)} runs whose {loss} is within {noise} of the lowest ({lowest})"
    if chosen is smallest:
        return f"{close}, it has the smallest gap"
    return f"{close}, it has the lowest loss among those whose gap is within noise of the smallest"
