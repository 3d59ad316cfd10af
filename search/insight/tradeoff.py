"""What a smaller gap costs in validation loss."""

from collections.abc import Sequence

from search.results.trial_result import TrialResult

ALLOWED = (0.0, 0.02, 0.05, 0.10)  # shares by which the validation loss may lie above the lowest


def tradeoff(trials: Sequence[TrialResult]) -> list[tuple[float, TrialResult]]:
    """For each share in `ALLOWED`: the feasible COMPLETE trial of smallest gap whose loss is within it.

    Gaps below zero are no smaller than zero: of those the lowest loss counts.
    """
    feasible = {trial.run: trial for trial in trials if trial.complete and trial.run is not None and trial.run.feasible}
    if not feasible:
        return []
    lowest = min(run.at_best.val_loss for run in feasible)
    listed = []
    for allowed in ALLOWED:
        within = [run for run in feasible if run.at_best.val_loss <= (1 + allowed) * lowest]
        listed.append((allowed, feasible[min(within, key=lambda run: run.objectives[::-1])]))
    return listed
