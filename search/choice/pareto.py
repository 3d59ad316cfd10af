"""The front: feasible runs that no other run beats in both objectives."""

import math
from collections.abc import Sequence

from search.choice.run import Run


def front(runs: Sequence[Run]) -> list[Run]:
    """The feasible runs that no other one beats in one objective without losing in the other, by validation loss."""
    ordered = sorted((run for run in runs if run.feasible), key=lambda run: run.objectives)
    kept: list[Run] = []
    for run in ordered:
        if not kept or run.objectives[1] < kept[-1].objectives[1] or run.objectives == kept[-1].objectives:
            kept.append(run)
    return kept


def on_front(run: Run, others: Sequence[Run]) -> bool:
    """Whether a run is on the `front` of itself and `others`; for one run it is quicker to tell than for all."""
    loss, gap = run.objectives
    return run.feasible and not any(
        other.at_best.val_loss <= loss  # first, since it is quick to tell and true of few
        and other.feasible
        and other.objectives[1] <= gap
        and other.objectives != run.objectives
        for other in others
    )


def clearly_beaten(run: Run, others: Sequence[Run], z: float = 2.0) -> bool:
    """Whether a feasible one of `others` is better in both objectives by more than z standard errors."""
    return any(
        other.feasible
        and run.objectives[0] - other.objectives[0] > z * math.hypot(run.at_best.val_loss_se, other.at_best.val_loss_se)
        and run.objectives[1] - other.objectives[1] > z * math.hypot(run.at_best.gap_se, other.at_best.gap_se)
        for other in others
    )
