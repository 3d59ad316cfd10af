"""What a search has found, read from its run folder: while it runs, and once it has ended.

Without torch, which takes seconds to import.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.choice.constraints import Terms, best_epoch
from search.choice.pareto import front
from search.choice.run import Run

if TYPE_CHECKING:
    from search.measurement import History


@dataclass(frozen=True)
class TrialResult:
    """One trial at its best epoch, or at the best so far where it is running; None is what it does not have.

    state: Optuna's; COMPLETE hides that a run overfitted, so look at `stopped` too. feasible: it beats the
    linear baseline and keeps within the ceiling for the gap. Losses and gap in nats, the gap signed; best_epoch
    counts from 0; parameters: the network's weights. params: what was drawn. history: one list per curve.
    """

    number: int
    state: str
    stopped: str | None = None
    feasible: bool = False
    front: bool = False
    chosen: bool = False
    val_loss: float | None = None
    val_loss_se: float | None = None
    gap: float | None = None
    gap_se: float | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    val_accuracy: float | None = None
    accuracy_gap: float | None = None
    best_epoch: int | None = None
    epochs_run: int = 0
    fit: str | None = None
    parameters: int | None = None
    seconds: float | None = None
    device: str | None = None
    reason: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    history: "History" = field(default_factory=dict)


def trial_results(study: optuna.Study) -> list[TrialResult]:
    """All trials of a study, by number; the chosen one is the choice at present."""
    terms, chosen = terms_of(study), (study.user_attrs.get("choice") or {}).get("trial")
    on_front = {run.number for run in front(complete_runs(study))}
    return [
        trial_result(trial, terms, front=trial.number in on_front, chosen=trial.number == chosen)
        for trial in study.get_trials(deepcopy=False)
    ]


def ranked(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """By validation loss, the feasible ones first; at the end those that run, and those that have no figures."""

    def rank(trial: TrialResult) -> tuple[bool, bool, bool, float, int]:
        loss = math.inf if trial.val_loss is None else trial.val_loss
        return trial.val_loss is None, trial.state == "RUNNING", not trial.feasible, loss, trial.number

    return sorted(trials, key=rank)


def complete_runs(study: optuna.Study) -> list[Run]:
    """The runs of the COMPLETE trials, in order."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [_stored_run(trial) for trial in trials if "val_loss" in trial.user_attrs]


def stored_history(trial: FrozenTrial) -> "History":
    """The curves of a trial as they were measured; NaN where a value was not finite."""
    stored = trial.user_attrs.get("history", {})
    return {name: [math.nan if value is None else value for value in values] for name, values in stored.items()}


def _stored_run(trial: FrozenTrial) -> Run:
    attributes = trial.user_attrs
    stored = {field.name: attributes[field.name] for field in fields(Run) if field.name not in ("number", "feasible")}
    feasible = all(violation <= 0 for violation in trial.constraints.values())
    return Run(number=trial.number, feasible=feasible, **stored)


def terms_of(study: optuna.Study) -> Terms:
    """What the trials of a study have to respect; nothing before the first start has measured the baseline."""
    baseline = study.user_attrs.get("baseline", {"val_loss": math.inf})
    return Terms(baseline["val_loss"], study.user_attrs.get("settings", {}).get("--max-gap"))


def trial_result(trial: FrozenTrial, terms: Terms, *, front: bool, chosen: bool) -> TrialResult:
    """One trial of a study with these terms; whether it is on the front or chosen depends on the others."""
    history = stored_history(trial)
    figures = trial.user_attrs if "val_loss" in trial.user_attrs else trial.user_attrs | _so_far(history, terms)
    names = {field.name for field in fields(TrialResult)} & figures.keys()
    known = {name: figures[name] for name in names} | {"history": history}
    respected = "val_loss" in known and terms.respected(known["val_loss"], known["gap"])
    return TrialResult(
        number=trial.number,
        state=trial.state.name,
        feasible=respected,
        front=front,
        chosen=chosen,
        params=trial.params,
        **known,
    )


def _so_far(history: "History", terms: Terms) -> dict[str, Any]:
    """The figures of a trial that has not ended, or has ended without a result."""
    epochs = len(history.get("val_loss", ()))
    best = best_epoch(history["val_loss"], history["gap"], terms) if epochs else None
    at_best: dict[str, Any] = {} if best is None else {name: values[best] for name, values in history.items()}
    return at_best | {"best_epoch": best, "epochs_run": epochs}
