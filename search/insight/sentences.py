"""What a search teaches, in sentences: where a person would ask "so what?". Each appears only where it is true."""

from collections.abc import Mapping, Sequence
from statistics import median

from search.choice.fit import MEMORIZED, NOISE, Fit
from search.insight.bounds import FEWEST_GOOD, good_trials, piled_up
from search.insight.gap_drivers import GapDriver, gap_drivers
from search.insight.importance import FEWEST, Share, importances, judged, measurements, reached_best, sampled
from search.insight.tradeoff import tradeoff
from search.results.trial_result import TrialResult

SMALLEST = 0.05  # share that is told
NEARLY_ALL = 0.75  # of the good runs, from which something is said of the whole study


def sentences(trials: Sequence[TrialResult]) -> list[str]:
    """All that a study teaches. trials: those that ended, COMPLETE or PRUNED."""
    return [
        *importance(trials),
        *cost_of_a_smaller_gap(trials),
        *what_closed_the_gap(trials),
        *bounds(trials),
        *underfitting(trials),
    ]


def importance(trials: Sequence[TrialResult]) -> list[str]:
    """The shares of the parameters in the variance of each objective, or that these runs do not tell them."""
    runs = len(sampled(trials))
    return (
        [_drives(target, importances(trials, target), runs) for target in ("val_loss", "gap")] if runs >= FEWEST else []
    )


def _drives(target: str, shares: Mapping[str, Share], runs: int) -> str:
    if not shares:
        return f"what drives {target}: these {runs} runs do not tell, no parameter stands out from the noise"
    parts = ", ".join(
        f"{name} {share.value:.0%} ({share.low:.0%} to {share.high:.0%})"
        for name, share in shares.items()
        if share.value >= SMALLEST
    )
    return f"what drives {target}: {parts}; shares of the variance over {runs} runs, and their 90% intervals"


def cost_of_a_smaller_gap(trials: Sequence[TrialResult]) -> list[str]:
    """What a smaller gap costs, where it can be had at all."""
    listed = tradeoff(trials)
    if len({trial.number for _, trial in listed}) < 2:
        return []
    parts = "; ".join(f"+{allowed:.0%}: {trial.gap:.4f} (trial {trial.number})" for allowed, trial in listed)
    return [f"smallest gap to be had at a val_loss of {parts}"]


def what_closed_the_gap(trials: Sequence[TrialResult]) -> list[str]:
    """Which parameters closed the gap, and at what loss."""
    return [
        f"what closed the gap: the {driver.inside} runs with {driver.setting} have a median gap of "
        f"{driver.gap_inside:.4f}, the other {driver.outside} of {driver.gap_outside:.4f}; "
        f"median val_loss {driver.loss_inside:.4f} against "
        f"{driver.loss_outside:.4f}, {_loss_change(driver)}"
        for driver in gap_drivers(trials)
    ]


def _loss_change(driver: GapDriver) -> str:
    if not driver.loss_differs:
        return "a difference within noise"
    by = f"{abs(driver.loss_inside / driver.loss_outside - 1):.0%} " if driver.loss_outside else ""
    return f"{by}{'higher' if driver.loss_inside > driver.loss_outside else 'lower'}"


def nothing_closed_the_gap(trials: Sequence[TrialResult]) -> list[str]:
    """Where there are runs enough to ask which parameter closed the gap, and none stands out."""
    reached = judged(trials)
    if len(reached) < FEWEST or gap_drivers(trials):
        return []
    return [f"no parameter's effect on the gap stands out from the noise of these {len(reached)} runs"]


def bounds(trials: Sequence[TrialResult]) -> list[str]:
    """Where the good runs pile up at a bound of the space."""
    return [
        f"{bound.piled} of the {bound.good} good runs have {bound.parameter} at its {bound.side} bound "
        f"{bound.value:g}: widen its range"
        for bound in piled_up(trials)
    ]


def underfitting(trials: Sequence[TrialResult]) -> list[str]:
    """Whether the whole study underfits: no run beats the baseline, or the good ones have more to learn."""
    reached = reached_best(trials)
    fits = {trial.run.fit for trial in reached if trial.run is not None}
    if len(reached) >= FEWEST_GOOD and fits == {Fit.UNDERFIT}:
        return [
            f"the whole study underfits: none of its {len(reached)} runs beats the linear baseline; "
            "give it more epochs, larger networks, or weaker regularization"
        ]
    good = good_trials(trials)
    if len(good) < FEWEST_GOOD:
        return []
    return [*_still_falling(good), *_nothing_to_close(good)]


def _still_falling(good: Sequence[TrialResult]) -> list[str]:
    falling = sum(trial.still_improving for trial in good)
    if falling < NEARLY_ALL * len(good):
        return []
    return [
        f"{falling} of the {len(good)} good runs were still improving when their epochs were over, "
        f"by {median(trial.last_gain for trial in good):.1%} of val_loss in the last quarter: "
        "a larger --epochs goes on with them"
    ]


def _nothing_to_close(good: Sequence[TrialResult]) -> list[str]:
    """Runs without a gap, neither at their best epoch nor at their last, that have more to learn."""
    accuracies = [at_best.train_accuracy for at_best in measurements(good)]
    without = sum(_has_no_gap(trial) and accuracy < MEMORIZED for trial, accuracy in zip(good, accuracies, strict=True))
    if without < NEARLY_ALL * len(good):
        return []
    return [
        f"{without} of the {len(good)} good runs have no gap beyond noise, and learned their training images to "
        f"{median(accuracies):.1%} only: they underfit; try larger networks, more epochs or weaker regularization"
    ]


def _has_no_gap(trial: TrialResult) -> bool:
    assert trial.run is not None
    at_best = trial.run.at_best
    last = trial.history.get("gap", [at_best.gap])[-1]
    return all(gap <= NOISE * at_best.gap_se for gap in (at_best.gap, last))  # one that is not finite is a gap
