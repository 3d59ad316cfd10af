"""Optuna's own pruners as policies for the replay, called on an in-memory study of the validation loss."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
)
from optuna.trial import FrozenTrial, TrialState

from studies.benchmarks.pruning.replay import Run

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


@dataclass(frozen=True)
class Pruned:
    """One trial after the other reports the validation loss of each epoch. make: planned epochs -> the pruner."""

    make: Callable[[int], BasePruner]

    def __call__(self, runs: Sequence[Run], rng: np.random.Generator) -> list[int]:
        study = optuna.create_study(
            study_name="replay",  # Hyperband assigns a trial to a bracket by the study's name and the trial's number
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=self.make(max(run.epochs for run in runs)),
        )
        return [self._given(study, run) for run in runs]

    def _given(self, study: optuna.Study, run: Run) -> int:
        trial = study.ask()
        for epoch, loss in enumerate(run.val_loss):
            trial.report(float(loss), epoch)
            if epoch + 1 < run.epochs and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                return epoch + 1
        best = run.result(run.epochs)
        state = TrialState.COMPLETE if best >= 0 else TrialState.FAIL
        study.tell(trial, float(run.val_loss[best]) if best >= 0 else None, state=state)
        return run.epochs


def median(epochs: int) -> BasePruner:
    """With Optuna's defaults."""
    return MedianPruner()


def percentile(epochs: int) -> BasePruner:
    """The best quarter continues."""
    return PercentilePruner(25.0)


def halving(epochs: int) -> BasePruner:
    """With Optuna's defaults: one run in four continues."""
    return SuccessiveHalvingPruner()


def halving_by_two(epochs: int) -> BasePruner:
    """From the first epoch on, one run in two continues."""
    return SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)


def hyperband(epochs: int) -> BasePruner:
    """With Optuna's defaults and the number of epochs of a run."""
    return HyperbandPruner(min_resource=1, max_resource=epochs)


def patient(epochs: int) -> BasePruner:
    """The median pruner, once a run has not improved for three epochs."""
    return PatientPruner(MedianPruner(), patience=3)


class ParetoMedian:
    """Pareto-rank pruning of validation loss and gap.

    It does what OptunaHub's multi_metric_pruner describes: at each step every trial is ranked by Pareto dominance among
    all trials that have reached this step, and the median pruner sees these ranks.
    """

    def __call__(self, runs: Sequence[Run], rng: np.random.Generator) -> list[int]:
        ranked = _Ranked()
        return [ranked.given(run) for run in runs]


class _Ranked:
    """The part of a study that a pruner uses: its trials and its direction."""

    direction = optuna.study.StudyDirection.MINIMIZE

    def __init__(self) -> None:
        self._pruner = MedianPruner()
        self._trials: list[FrozenTrial] = []
        self._reports: dict[int, list[tuple[FrozenTrial, tuple[float, float]]]] = {}

    def get_trials(self, deepcopy: bool = True, states: tuple[TrialState, ...] | None = None) -> list[FrozenTrial]:
        return [trial for trial in self._trials if states is None or trial.state in states]

    def given(self, run: Run) -> int:
        trial = optuna.trial.create_trial(state=TrialState.RUNNING)
        trial.number = len(self._trials)
        self._trials.append(trial)
        for epoch in range(run.epochs - 1):
            self._report(trial, epoch, (float(run.val_loss[epoch]), max(float(run.gap[epoch]), 0.0)))
            if self._pruner.prune(self, trial):  # type: ignore[arg-type]
                trial.state = TrialState.PRUNED
                return epoch + 1
        trial.state = TrialState.COMPLETE
        return run.epochs

    def _report(self, trial: FrozenTrial, step: int, values: tuple[float, float]) -> None:
        reports = self._reports.setdefault(step, [])
        reports.append((trial, values))
        ranks = pareto_ranks(np.array([point for _, point in reports]))
        for (other, _), rank in zip(reports, ranks, strict=True):
            other.intermediate_values[step] = float(rank)


def pareto_ranks(points: np.ndarray) -> np.ndarray:
    """The Pareto rank of each point: 0 on the front, 1 on the front of the points that are left without it, and so on.

    points: shape (n, 2); less is better, and NaN counts as infinitely bad.
    """
    points = np.where(np.isfinite(points), points, math.inf)
    ranks = np.zeros(len(points), dtype=int)
    fronts: list[float] = []  # the lowest second value in each front so far, of points lower in the first
    rank, previous = 0, (math.nan, math.nan)
    for i in np.lexsort((points[:, 1], points[:, 0])):
        point = (float(points[i, 0]), float(points[i, 1]))
        if point == previous:  # equal points do not dominate one another
            ranks[i] = rank
            continue
        rank = next((front for front, lowest in enumerate(fronts) if point[1] < lowest), len(fronts))
        fronts[rank : rank + 1] = [point[1]]
        ranks[i], previous = rank, point
    return ranks
