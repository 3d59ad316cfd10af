"""One run as the choice sees it: its best epoch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from search.choice.constraints import Constraints
from search.choice.fit import Fit, fit_regime
from search.measurement import History, Measurement

STILL_IMPROVING = 0.01  # of its loss, gained in the last quarter of the epochs: more of them would gain more


@dataclass(frozen=True)
class Run:
    """One run at its best epoch."""

    number: int  # of its trial
    at_best: Measurement
    best_epoch: int  # from 0
    parameters: int  # weights of the network; 0 where they are not known
    fit: Fit
    feasible: bool  # it meets the constraints

    @property
    def objectives(self) -> tuple[float, float]:
        """What Optuna minimizes: validation loss, and the gap where it is positive."""
        return self.at_best.val_loss, max(self.at_best.gap, 0.0)


def run_at_best(number: int, history: History, constraints: Constraints, parameters: int = 0) -> Run | None:
    """The run with these curves, judged at its best epoch; None where it has no finite one."""
    epoch = best_epoch(history.get("val_loss", ()), history.get("gap", ()), constraints)
    if epoch is None:
        return None
    at_best = Measurement.at(history, epoch)
    return Run(
        number=number,
        at_best=at_best,
        best_epoch=epoch,
        parameters=parameters,
        fit=fit_regime(at_best, constraints.baseline_loss),
        feasible=constraints.met(at_best.val_loss, at_best.gap),
    )


def best_epoch(val_loss: Sequence[float], gap: Sequence[float], constraints: Constraints) -> int | None:
    """The epoch (from 0) of lowest validation loss, among those that meet the constraints where any does."""
    finite = [epoch for epoch, loss in enumerate(val_loss) if math.isfinite(loss) and math.isfinite(gap[epoch])]
    feasible = [epoch for epoch in finite if constraints.met(val_loss[epoch], gap[epoch])]
    return min(feasible or finite, key=lambda epoch: val_loss[epoch], default=None)


def last_gain(val_loss: Sequence[float], best: int | None) -> float:
    """The share of its loss that a run lost in the last quarter of its epochs, the last one at least.

    best: the best epoch, from 0. 0 where that is not the last one: the run has turned.
    """
    last = len(val_loss) - 1
    if last < 1 or best != last:
        return 0.0
    before = val_loss[last - max(len(val_loss) // 4, 1)]
    return 1 - val_loss[last] / before if math.isfinite(before) and before > 0 else 0.0
