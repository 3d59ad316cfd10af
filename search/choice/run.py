"""One run as the choice sees it: its best epoch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from search.choice.constraints import Constraints
from search.choice.fit import Fit, fit_regime
from search.measurement import History, Measurement


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
