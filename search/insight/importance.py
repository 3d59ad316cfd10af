"""Hyperparameter importance (fANOVA): the share of each parameter in the variance of the loss and of the gap."""

import functools
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, create_trial

from search.measurement import Measurement
from search.results.trial_result import TrialResult
from search.stopping.stopped import Stopped

FEWEST = 8  # runs from which anything is said about importance
MOST = 300  # runs that importance is computed from, evenly spaced where there are more: fANOVA takes 1 s for each 100
DEPTH = 6  # of fANOVA's trees: unbounded ones take 20 times as long for 800 runs, and give the same shares to 1 point
TREES = 64  # of the shares
RESAMPLES, TREES_OF_RESAMPLE = 24, 8  # of the bootstrap over runs: it takes three times as long as the shares
INTERVAL = (0.05, 0.95)  # quantiles that bound an interval


@dataclass(frozen=True)
class Share:
    """Of a parameter in the variance over runs, with its 90% interval."""

    value: float
    low: float
    high: float


def reached_best(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """The trials whose best epoch is their best: all but those given up before, whose figures are censored."""
    return [trial for trial in trials if trial.reached_best]


def measurements(trials: Sequence[TrialResult]) -> list[Measurement]:
    """Those of the best epochs, of the trials that have one."""
    return [trial.run.at_best for trial in trials if trial.run is not None]


def judged(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """The trials that tell what matters: those that reached their best and did not diverge."""
    return [trial for trial in reached_best(trials) if trial.stopped != Stopped.DIVERGED]


def varying(reached: Sequence[TrialResult]) -> list[str]:
    """The parameters that all these trials have, and that differ among them."""
    names = [name for name in reached[0].params if all(name in trial.params for trial in reached)] if reached else []
    return [name for name in names if any(trial.params[name] != reached[0].params[name] for trial in reached)]


def sampled(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """The trials that importance is computed from: those that are `judged`, or 300 of them, evenly spaced."""
    reached = judged(trials)
    return reached[:: math.ceil(len(reached) / MOST)] if reached else []


def importances(trials: Sequence[TrialResult], target: str) -> dict[str, Share]:
    """The share of each parameter in the variance of `target` (val_loss or gap), largest first.

    Computed from the best epochs of all trials that reached their best, PRUNED ones included: those that
    survived were selected for not overfitting. The intervals are by bootstrap over runs.

    Empty with fewer than 8 such trials, or where nothing stands out: no parameter's interval lies above an equal share
    of all parameters that vary, which is what fANOVA makes of noise.
    """
    reached = sampled(trials)
    values = [getattr(trial, target) for trial in reached]
    if len(reached) < FEWEST or max(values) == min(values):
        return {}
    points = [
        (trial.params, {name: distribution_to_json(known) for name, known in trial.distributions.items()}, value)
        for trial, value in zip(reached, values, strict=True)
    ]
    shares = dict(_shares(json.dumps(points)))  # as Optuna stores them: choices may be lists
    several = len(varying(reached)) or 1  # a parameter of one value has no share, and is no rival
    return shares if any(share.low >= 1 / several for share in shares.values()) else {}


@functools.lru_cache(maxsize=4)  # the graph, the terminal and the report ask for the same, one after the other
def _shares(points: str) -> dict[str, Share]:
    """fANOVA of points, as JSON: each with its parameters, their ranges, and a value."""
    runs = [run for point in json.loads(points) if (run := _run(*point)) is not None]
    if len(runs) < FEWEST or not _varies(runs):
        return {}
    shares = _fanova(runs, TREES, None)
    rng = np.random.default_rng(0)
    resamples = [[runs[row] for row in rng.integers(len(runs), size=len(runs))] for _ in range(RESAMPLES)]
    drawn = [_fanova(resample, TREES_OF_RESAMPLE, list(shares)) for resample in resamples if _varies(resample)]
    return {name: _share(value, [one[name] for one in drawn]) for name, value in shares.items()}


def _run(params: dict[str, Any], distributions: dict[str, str], value: float) -> FrozenTrial | None:
    """A point as a trial; None for one queued outside its range, which Optuna lets run and takes back nowhere."""
    ranges = {name: json_to_distribution(known) for name, known in distributions.items()}
    try:
        return create_trial(params=params, distributions=ranges, value=value)
    except ValueError:
        return None


def _share(value: float, drawn: Sequence[float]) -> Share:
    """With an interval that holds it: resamples repeat runs, so theirs may all lie on one side of it."""
    low, high = map(float, np.quantile(drawn, INTERVAL))
    return Share(value, min(low, value), max(high, value))


def _varies(runs: Iterable[FrozenTrial]) -> bool:
    """Whether they have more than one value: fANOVA wants some variance."""
    return len({run.value for run in runs}) > 1


def _fanova(runs: Sequence[FrozenTrial], trees: int, names: list[str] | None) -> dict[str, Any]:
    """The share of each parameter, largest first. names: of which; None for all that the runs have."""
    study = optuna.create_study()
    study.add_trials(runs)
    evaluator = FanovaImportanceEvaluator(n_trees=trees, max_depth=DEPTH, seed=0)
    return get_param_importances(study, evaluator=evaluator, params=names)
