"""Hyperparameter importance (fANOVA): the share of each parameter in the variance of the loss and of the gap."""

import functools
import json
import math
from collections.abc import Sequence

import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from search.measurement import Measurement
from search.results.trial_result import TrialResult

FEWEST = 8  # runs from which anything is said about importance
MOST = 300  # runs that importance is computed from, evenly spaced where there are more: fANOVA takes 1 s for each 100
DEPTH = 6  # of fANOVA's trees: unbounded ones take 20 times as long for 800 runs, and give the same shares to 1 point


def reached_best(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """The trials whose best epoch is their best: all but those given up before, whose figures are censored."""
    return [trial for trial in trials if trial.reached_best]


def measurements(trials: Sequence[TrialResult]) -> list[Measurement]:
    """Those of the best epochs, of the trials that have one."""
    return [trial.run.at_best for trial in trials if trial.run is not None]


def sampled(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """The trials that importance is computed from: those that reached their best, or 300 of them, evenly spaced."""
    reached = reached_best(trials)
    return reached[:: math.ceil(len(reached) / MOST)] if reached else []


def importances(trials: Sequence[TrialResult], target: str) -> dict[str, float]:
    """The share of each parameter in the variance of `target` (val_loss or gap), largest first.

    Computed from the best epochs of all trials that reached their best, PRUNED ones included: those that
    survived were selected for not overfitting. Empty with fewer than 8 such trials, or where nothing varies.
    """
    reached = sampled(trials)
    values = [getattr(trial, target) for trial in reached]
    if len(reached) < FEWEST or max(values) == min(values):
        return {}
    points = [
        (trial.params, {name: distribution_to_json(known) for name, known in trial.distributions.items()}, value)
        for trial, value in zip(reached, values, strict=True)
    ]
    return dict(_shares(json.dumps(points)))  # as Optuna stores them: choices may be lists


@functools.lru_cache(maxsize=4)  # the graph, the terminal and the report ask for the same, one after the other
def _shares(points: str) -> dict[str, float]:
    """fANOVA of points, as JSON: each with its parameters, their ranges, and a value."""
    study = optuna.create_study()
    study.add_trials(
        [
            create_trial(
                params=params,
                distributions={name: json_to_distribution(known) for name, known in distributions.items()},
                value=value,
            )
            for params, distributions, value in json.loads(points)
        ]
    )
    return get_param_importances(study, evaluator=FanovaImportanceEvaluator(max_depth=DEPTH, seed=0))
