"""A study at one moment: what graphs, notes, tables and the report tell of."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.choice.constraints import Constraints
from search.choice.pareto import front
from search.choice.rivals import Rivals
from search.choice.run import Run
from search.errors import UserError, described
from search.results.schema import CONTINUES, REPLACES, StudyAttribute
from search.results.trial_result import TrialResult, trial_result


@dataclass(frozen=True)
class StudySnapshot:
    """One moment of a search. Before the first start has settled anything, its mappings are empty."""

    name: str
    settings: Mapping[str, Any]  # what all runs have in common, see `Settings.comparable`
    # of the last start: `trials`, `epochs`, `timeout` (seconds, None), `race` (whether), `out`, `data_root` (as given),
    # `elsewhere` (whether its database is not that of the run folder)
    plan: Mapping[str, Any]
    # `name`, `classes` (names), `shape` (channels, height, width), `train_size`, `val_size`, `train_counts` (by class),
    # `val_counts` (likewise)
    data: Mapping[str, Any]
    constraints: Constraints
    trials: tuple[TrialResult, ...]  # all of them, by number
    chosen: int | None = None  # number of the trial chosen at present; None where nothing may be
    band: tuple[int, ...] = ()  # numbers of the trials that noise cannot tell from the best
    because: str | None = None  # why it was chosen
    expected: Mapping[str, Any] | None = None  # of the chosen one, see `search.choice.expected.Expected`
    race: Sequence[Mapping[str, Any]] = ()  # of its finalists, see `search.choice.race.Placed`
    race_epochs: int = 0  # that it trained, those of the unseen seeds too
    unrecognized: Sequence[str] = ()  # classes of which the chosen run recognizes no validation image
    rivals: Rivals = field(default_factory=Rivals)  # what its accuracy is held against

    @property
    def ended(self) -> tuple[TrialResult, ...]:
        """The trials that ended, COMPLETE or PRUNED."""
        return tuple(trial for trial in self.trials if trial.ended)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The results: what the choice is made of."""
        return tuple(trial.run for trial in self.trials if trial.complete and trial.run is not None)

    @property
    def reached(self) -> tuple[Run, ...]:
        """The runs that reached their best, whether they may be chosen or not."""
        return tuple(trial.run for trial in self.trials if trial.reached_best and trial.run is not None)

    @property
    def chosen_trial(self) -> TrialResult | None:
        """The trial chosen at present."""
        return next((trial for trial in self.trials if trial.chosen), None)

    @property
    def planned_epochs(self) -> int:
        """Of each trial: what the last start asked for, or what a trial of an earlier one has had."""
        return max([self.plan.get("epochs", 0), *(trial.epochs_run for trial in self.ended)], default=0)


def read_snapshot(study: optuna.Study) -> StudySnapshot:
    """What the study says now. Raises UserError where its records are damaged."""
    try:
        return _snapshot(study)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UserError(
            f"the study {study.study_name} holds records that are damaged ({described(error)}); go back to a copy of "
            f"its database, or start anew with another --out"
        ) from error


def _snapshot(study: optuna.Study) -> StudySnapshot:
    stored = study.user_attrs
    choice = stored.get(StudyAttribute.CHOICE) or {}
    constraints = stored_constraints(study)
    return StudySnapshot(
        name=study.study_name,
        settings=stored.get(StudyAttribute.SETTINGS, {}),
        plan=stored.get(StudyAttribute.PLAN, {}),
        data=stored.get(StudyAttribute.DATA, {}),
        constraints=constraints,
        trials=_trial_results(study, constraints, choice.get("trial")),
        chosen=choice.get("trial"),
        band=tuple(choice.get("band", ())),
        because=choice.get("because"),
        expected=choice.get("expected"),
        race=tuple(choice.get("race", ())),
        race_epochs=sum(entry["epochs"] for entry in stored.get(StudyAttribute.REPEATS, ())),
        unrecognized=tuple(choice.get("unrecognized", ())),
        rivals=_rivals(stored),
    )


def stored_constraints(study: optuna.Study) -> Constraints:
    """What the trials of a study have to respect; nothing before the first start has measured the baseline."""
    baseline = study.user_attrs.get(StudyAttribute.BASELINE, {"val_loss": math.inf})
    return Constraints(baseline["val_loss"], study.user_attrs.get(StudyAttribute.SETTINGS, {}).get("max_gap"))


def _rivals(stored: Mapping[str, Any]) -> Rivals:
    """As the attributes of a study tell of them."""
    counts = stored.get(StudyAttribute.DATA, {}).get("val_counts")
    baseline = stored.get(StudyAttribute.BASELINE, {})
    largest = max(counts) / sum(counts) if counts else None
    return Rivals(baseline.get("val_accuracy"), largest, baseline.get("val_balanced_accuracy"))


def stand_ins(trials: Iterable[FrozenTrial]) -> dict[int, int]:
    """Which trial stands for which, by number, where several have one configuration; so none counts twice.

    - A trial that was queued again stands for the interrupted one.
    - One that took a finished trial further stands for that one once it has a result of its own. Where it came to
      none, the finished one stands for it.
    """
    found: dict[int, int] = {}
    for trial in trials:
        if REPLACES in trial.user_attrs:
            found[trial.user_attrs[REPLACES]] = trial.number
        if CONTINUES in trial.user_attrs:
            shorter = trial.user_attrs[CONTINUES]
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                found[shorter] = trial.number
            elif trial.state == TrialState.FAIL:
                found[trial.number] = shorter  # until one that is queued again, of a higher number, stands for it
    return found


def _trial_results(study: optuna.Study, constraints: Constraints, chosen: int | None) -> tuple[TrialResult, ...]:
    """All trials, by number. The front is that of the results."""
    frozen = study.get_trials(deepcopy=False)
    stands_in = stand_ins(frozen)
    trials = [trial_result(trial, constraints, front=False, chosen=trial.number == chosen) for trial in frozen]
    for number, other in stands_in.items():
        trials[number] = replace(trials[number], replaced_by=other)
    on_front = front([trial.run for trial in trials if trial.complete and trial.run is not None])
    for run in on_front:
        trials[run.number] = replace(trials[run.number], front=True)
    return tuple(trials)
