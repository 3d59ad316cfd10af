"""What the study records of a trial that has ended."""

from collections.abc import Sequence
from typing import Any

from optuna.trial import Trial, TrialState

from search.choice.constraints import Constraints
from search.choice.pareto import clearly_beaten
from search.choice.run import Run
from search.results.schema import CONTINUES, LINEAGE, run_attributes, storable_history
from search.results.trial_result import TrialResult
from search.stopping.stopped import Stopped
from search.training.trial import Outcome

UNUSABLE = 10.0  # violation of the constraints by a run that never had a finite loss: worse than any that had one


def state_of(outcome: Outcome, before: Sequence[Run], *, goes_further: bool = False) -> TrialState:
    """COMPLETE where a run's best epoch is a result that may be chosen, beside the results `before` it; else PRUNED.

    Optuna's own lists and graphs are made of the COMPLETE trials, whatever the constraints say. The sampler takes both
    states alike.

    goes_further: it took a finished trial further. Where it was given up or failed, it is FAIL: that one stays the
    result.
    """
    if goes_further and (outcome.run is None or not outcome.stopped.reached_best):
        return TrialState.FAIL
    return TrialState.COMPLETE if _is_complete(outcome, before) else TrialState.PRUNED


def violations_of(run: Run | None, constraints: Constraints) -> dict[str, float]:
    """By how much a run misses each constraint."""
    if run is None:
        return dict.fromkeys(constraints.violations(1.0, 0.0), UNUSABLE)
    return constraints.violations(run.at_best.val_loss, run.at_best.gap)


def attributes_of(outcome: Outcome, device: str, planned: int | None) -> dict[str, Any]:
    """The user attributes of a trial that has ended. planned: epochs of a whole run."""
    at_best = {} if outcome.run is None else run_attributes(outcome.run)
    return at_best | {
        "stopped": outcome.stopped.value,
        "reason": outcome.reason,
        "epochs_run": len(outcome.history.get("val_loss", ())),
        "epochs_planned": planned,
        "seconds": round(outcome.seconds, 2),
        "device": device,
        "history": storable_history(outcome.history),
    }


def result_of(outcome: Outcome, trial: Trial) -> TrialResult:
    """A trial that is about to end."""
    attributes = trial.user_attrs
    return TrialResult(
        number=outcome.number,
        state=TrialState.RUNNING.name,
        run=outcome.run,
        stopped=outcome.stopped,
        reason=outcome.reason,
        history=outcome.history,
        params=trial.params,
        distributions=trial.distributions,
        config=attributes.get("config", {}),
        lineage=attributes.get(LINEAGE),
        continues=attributes.get(CONTINUES),
        seconds=outcome.seconds,
    )


def _is_complete(outcome: Outcome, before: Sequence[Run]) -> bool:
    """Whether a run's best epoch is feasible, and not just what it had reached when it was given up."""
    if outcome.run is None or not outcome.run.feasible:
        return False
    if outcome.stopped == Stopped.FINISHED:
        return True
    return outcome.stopped.reached_best and not clearly_beaten(outcome.run, before)
