"""A study at one moment: what graphs, notes, tables and the report tell of."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import optuna

from search.choice.constraints import Constraints
from search.choice.pareto import front
from search.choice.run import Run
from search.results.schema import REPLACES, StudyAttribute
from search.results.trial_result import TrialResult, trial_result


@dataclass(frozen=True)
class StudySnapshot:
    """One moment of a search. Before the first start has settled anything, its mappings are empty."""

    name: str
    settings: Mapping[str, Any]  # what all runs have in common, see `Settings.comparable`
    plan: Mapping[str, Any]  # of the last start: `trials`, `epochs` and `out` (run folder as given)
    data: Mapping[str, Any]  # `name`, `classes` (names), `shape` (channels, height, width), `train_size`, `val_size`
    constraints: Constraints
    trials: tuple[TrialResult, ...]  # all of them, by number
    chosen: int | None = None  # number of the trial chosen at present; None where nothing may be
    band: tuple[int, ...] = ()  # numbers of the trials that noise cannot tell from the best
    because: str | None = None  # why it was chosen

    @property
    def ended(self) -> tuple[TrialResult, ...]:
        """The trials that ended, COMPLETE or PRUNED."""
        return tuple(trial for trial in self.trials if trial.ended)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The results of the COMPLETE trials: what the choice is made of."""
        return tuple(trial.run for trial in self.trials if trial.complete and trial.run is not None)

    @property
    def chosen_trial(self) -> TrialResult | None:
        """The trial chosen at present."""
        return next((trial for trial in self.trials if trial.chosen), None)

    @property
    def planned_epochs(self) -> int:
        """Of each trial: what the last start asked for, or what a trial of an earlier one has had."""
        return max([self.plan.get("epochs", 0), *(trial.epochs_run for trial in self.ended)], default=0)


def read_snapshot(study: optuna.Study) -> StudySnapshot:
    """What the study says now."""
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
    )


def stored_constraints(study: optuna.Study) -> Constraints:
    """What the trials of a study have to respect; nothing before the first start has measured the baseline."""
    baseline = study.user_attrs.get(StudyAttribute.BASELINE, {"val_loss": math.inf})
    return Constraints(baseline["val_loss"], study.user_attrs.get(StudyAttribute.SETTINGS, {}).get("max_gap"))


def _trial_results(study: optuna.Study, constraints: Constraints, chosen: int | None) -> tuple[TrialResult, ...]:
    """All trials, by number. The front is that of the COMPLETE ones."""
    frozen = study.get_trials(deepcopy=False)
    trials = [trial_result(trial, constraints, front=False, chosen=trial.number == chosen) for trial in frozen]
    complete = [trial.run for trial in trials if trial.complete and trial.run is not None]
    on_front = {run.number for run in front(complete)}
    replaced = {trial.user_attrs.get(REPLACES) for trial in frozen}
    return tuple(
        replace(trial, front=trial.number in on_front, replaced=trial.number in replaced)
        if trial.number in on_front or trial.number in replaced
        else trial
        for trial in trials
    )
