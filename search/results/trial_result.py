"""One trial as the study shows it: its run, how it ended, and what was drawn for it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from search.choice.constraints import Constraints
from search.choice.run import STILL_IMPROVING, Run, last_gain, run_at_best
from search.measurement import History
from search.results.schema import CONTINUES, LINEAGE, START, TURNED_DOWN, run_attributes, stored_history, stored_run
from search.stopping.stopped import Stopped


@dataclass(frozen=True)
class TrialResult:
    """One trial; None is what it does not have."""

    number: int
    state: str  # Optuna's; COMPLETE hides that a run overfitted, PRUNED that it finished: look at `stopped` too
    run: Run | None = None  # at its best epoch, or at the best so far where it has not ended
    stopped: Stopped | None = None  # what ended it
    reason: str | None = None  # a sentence: with the numbers where a rule stopped it, or why it was left out
    front: bool = False  # no other run beats it in both objectives
    chosen: bool = False  # at present
    history: History = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)  # what was drawn
    distributions: dict[str, BaseDistribution] = field(default_factory=dict)  # from where, by parameter
    config: dict[str, Any] = field(default_factory=dict)  # what the space made of it
    lineage: int | None = None  # the place of its configuration in the order of drawing, from 0
    start: str | None = None  # of one that was tried first: where its configuration comes from, `cnn 1` perhaps
    continues: int | None = None  # number of the finished trial that it takes further, for more epochs
    replaced_by: int | None = None  # number of the trial that stands for it, see `search.results.snapshot.stand_ins`
    epochs_planned: int | None = None  # by the start that ended it
    seconds: float | None = None  # of training
    device: str | None = None

    @property
    def val_loss(self) -> float | None:
        """Validation loss at the best epoch, in nats."""
        return None if self.run is None else self.run.at_best.val_loss

    @property
    def gap(self) -> float | None:
        """Gap at the best epoch, in nats, signed."""
        return None if self.run is None else self.run.at_best.gap

    @property
    def epochs_run(self) -> int:
        """Epochs trained and measured."""
        return len(self.history.get("val_loss", ()))

    @property
    def complete(self) -> bool:
        """Whether its best epoch is a result that may be chosen if it is feasible.

        One that finished without being feasible is PRUNED to Optuna.
        """
        finished = self.stopped == Stopped.FINISHED and self.run is not None
        return (self.state == "COMPLETE" or (self.state == "PRUNED" and finished)) and not self.replaced

    @property
    def ended(self) -> bool:
        """Whether it has ended with a result, if only that it has none; it counts towards `--trials` then."""
        return self.state in ("COMPLETE", "PRUNED") and not self.replaced

    @property
    def replaced(self) -> bool:
        """Whether another trial has its configuration and stands for it: this one is counted nowhere."""
        return self.replaced_by is not None

    @property
    def running(self) -> bool:
        """Whether it is in training."""
        return self.state == "RUNNING"

    @property
    def reached_best(self) -> bool:
        """Whether its best epoch is its best for good. The figures of others are censored: they were given up."""
        return self.ended and self.run is not None and self.stopped is not None and self.stopped.reached_best

    @property
    def last_gain(self) -> float:
        """The share of its loss that it lost in its last quarter; 0 where it was stopped before or had turned."""
        if self.run is None or self.stopped != Stopped.FINISHED:
            return 0.0
        return last_gain(self.history.get("val_loss", ()), self.run.best_epoch)

    @property
    def still_improving(self) -> bool:
        """Whether it was, when its epochs were over: more would have improved it further."""
        return self.last_gain >= STILL_IMPROVING

    @property
    def ending(self) -> str:
        """What ended it, or `running`."""
        return self.stopped or ("running" if self.running else Stopped.CANCELLED)

    def figures(self) -> dict[str, Any]:
        """Everything but curves and parameters as one flat row, for tables; None where there is nothing."""
        plain = ("number", "state", "stopped", "front", "chosen", "epochs_run", "seconds", "device", "reason")
        row = {name: getattr(self, name) for name in plain}
        if self.run is None:
            return row
        figures = run_attributes(self.run)
        return row | {"best_epoch_from_1": figures.pop("best_epoch") + 1} | figures | {"feasible": self.run.feasible}


def trial_result(trial: FrozenTrial, constraints: Constraints, *, front: bool, chosen: bool) -> TrialResult:
    """One trial of a study; whether it is on the front or chosen depends on the others."""
    attributes, history = trial.user_attrs, stored_history(trial.user_attrs)
    stopped = attributes.get("stopped")
    return TrialResult(
        number=trial.number,
        state=trial.state.name,
        run=_run(trial, history, constraints),
        stopped=None if stopped is None else Stopped(stopped),
        reason=attributes.get("reason", attributes.get(TURNED_DOWN)),
        front=front,
        chosen=chosen,
        history=history,
        params=trial.params,
        distributions=trial.distributions,
        config=attributes.get("config", {}),
        lineage=attributes.get(LINEAGE),
        start=attributes.get(START),
        continues=attributes.get(CONTINUES),
        epochs_planned=attributes.get("epochs_planned"),
        seconds=attributes.get("seconds"),
        device=attributes.get("device"),
    )


def ranked(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """By validation loss, the feasible ones first; at the end those that run, and those that have no figures."""

    def rank(trial: TrialResult) -> tuple[bool, bool, bool, float, int]:
        loss = math.inf if trial.val_loss is None else trial.val_loss
        feasible = trial.run is not None and trial.run.feasible
        return trial.run is None, trial.running, not feasible, loss, trial.number

    return sorted(trials, key=rank)


def _run(trial: FrozenTrial, history: History, constraints: Constraints) -> Run | None:
    """As it was recorded at the end of a trial, or what its curves say so far."""
    attributes = trial.user_attrs
    if "fit" not in attributes:  # the last to be written: a kill may have come between them
        return run_at_best(trial.number, history, constraints)
    feasible = constraints.met(attributes["val_loss"], attributes["gap"])
    return stored_run(trial.number, attributes, feasible=feasible)
