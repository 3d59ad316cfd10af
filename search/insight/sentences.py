"""What a search teaches, in sentences: where a person would ask "so what?". Each appears only where it is true."""

from collections.abc import Sequence
from statistics import median

from optuna.trial import FrozenTrial

from search.choice.fit import MEMORIZED, NOISE, UNDERFIT
from search.choice.run import Run
from search.insight.bounds import FEWEST_GOOD, good_runs, piled_up
from search.insight.gap_drivers import Knob, closed_the_gap
from search.insight.importance import FEWEST, importances, reached_best, thinned
from search.insight.tradeoff import price_list
from search.stopping.stopped import Stopped

NEARLY_ALL = 0.75  # of the good runs, from which something is said of the whole study
STILL_FALLING = 0.01  # of its loss that a run gained in its last quarter


def sentences(finished: Sequence[FrozenTrial], runs: Sequence[Run]) -> list[str]:
    """All that a study teaches. finished: its COMPLETE and PRUNED trials; runs: the results of the COMPLETE ones."""
    return [
        *drivers(finished),
        *prices(runs),
        *gap_closers(finished),
        *bounds(finished, runs),
        *underfitting(finished, runs),
    ]


def drivers(finished: Sequence[FrozenTrial]) -> list[str]:
    """The shares of the parameters in the variance of each objective."""
    lines = []
    for target in ("val_loss", "gap"):
        shares = importances(finished, target)
        if shares:
            parts = ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if share >= 0.01)
            lines.append(f"what drives {target}: {parts} ({len(thinned(finished))} runs)")
    return lines


def prices(runs: Sequence[Run]) -> list[str]:
    """What a smaller gap costs, where it can be had at all."""
    listed = price_list(runs)
    if len({run.number for _, run in listed}) < 2:
        return []
    parts = "; ".join(f"+{price:.0%}: {run.gap:.4f} (trial {run.number})" for price, run in listed)
    return [f"smallest gap to be had at a val_loss of {parts}"]


def gap_closers(finished: Sequence[FrozenTrial]) -> list[str]:
    """Which two or three knobs closed the gap, and at what loss."""
    return [
        f"what closed the gap: the {knob.inside} runs with {knob.setting} have a median gap of {knob.gap_inside:.4f}, "
        f"the other {knob.outside} of {knob.gap_outside:.4f}; median val_loss {knob.loss_inside:.4f} against "
        f"{knob.loss_outside:.4f}, {_loss_change(knob)}"
        for knob in closed_the_gap(finished)
    ]


def _loss_change(knob: Knob) -> str:
    change = knob.loss_inside / knob.loss_outside - 1
    if not knob.loss_differs:
        return "a difference within noise"
    return f"{abs(change):.0%} {'higher' if change > 0 else 'lower'}"


def nothing_closed_the_gap(finished: Sequence[FrozenTrial]) -> list[str]:
    """Where there are runs enough to ask which knob closed the gap, and none stands out."""
    reached = reached_best(finished)
    if len(reached) < FEWEST or closed_the_gap(finished):
        return []
    return [f"no parameter's effect on the gap stands out from the noise of these {len(reached)} runs"]


def bounds(finished: Sequence[FrozenTrial], runs: Sequence[Run]) -> list[str]:
    """Where the good runs pile up at a bound of the space."""
    return [
        f"{bound.piled} of the {bound.good} good runs have {bound.parameter} at its {bound.side} bound "
        f"{bound.value:g}: widen its range"
        for bound in piled_up(finished, runs)
    ]


def underfitting(finished: Sequence[FrozenTrial], runs: Sequence[Run]) -> list[str]:
    """Whether the whole study underfits: no run beats the baseline, or the good ones have more to learn."""
    reached = reached_best(finished)
    if len(reached) >= FEWEST_GOOD and all(trial.user_attrs.get("fit") == UNDERFIT for trial in reached):
        return [
            f"the whole study underfits: none of its {len(reached)} runs beats the linear baseline; "
            "give it more epochs, larger networks, or weaker regularization"
        ]
    numbers = {run.number for run in good_runs(runs)}
    good = [trial for trial in finished if trial.number in numbers]
    if len(good) < FEWEST_GOOD:
        return []
    return [*_still_falling(good), *_nothing_to_close(good)]


def _still_falling(good: Sequence[FrozenTrial]) -> list[str]:
    gains = [_last_gain(trial) for trial in good]
    falling = sum(gain >= STILL_FALLING for gain in gains)
    if falling < NEARLY_ALL * len(good):
        return []
    return [
        f"{falling} of the {len(good)} good runs were still improving when their epochs were over, "
        f"by {median(gains):.1%} of val_loss in the last quarter: give them more with --epochs"
    ]


def _last_gain(trial: FrozenTrial) -> float:
    """The share of its loss that a run lost in the last quarter of its epochs; 0 where it was stopped or had turned."""
    losses = trial.user_attrs.get("history", {}).get("val_loss", [])
    stopped, best = trial.user_attrs["stopped"], trial.user_attrs.get("best_epoch")
    if stopped != Stopped.FINISHED or len(losses) < 4 or best != len(losses) - 1:
        return 0.0
    before = losses[best - len(losses) // 4]
    return 0.0 if before is None else 1 - losses[best] / before


def _nothing_to_close(good: Sequence[FrozenTrial]) -> list[str]:
    """Runs without a gap, neither at their best epoch nor at their last, that have more to learn."""
    without = sum(_has_no_gap(trial) and trial.user_attrs["train_accuracy"] < MEMORIZED for trial in good)
    if without < NEARLY_ALL * len(good):
        return []
    accuracy = median(trial.user_attrs["train_accuracy"] for trial in good)
    return [
        f"{without} of the {len(good)} good runs have no gap beyond noise, and learned their training images to "
        f"{accuracy:.1%} only: they underfit; try larger networks, more epochs or weaker regularization"
    ]


def _has_no_gap(trial: FrozenTrial) -> bool:
    attributes = trial.user_attrs
    last = (attributes.get("history", {}).get("gap") or [attributes["gap"]])[-1]
    return all(gap is not None and gap <= NOISE * attributes.get("gap_se", 0.0) for gap in (attributes["gap"], last))
