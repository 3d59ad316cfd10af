"""The samplers that are compared, by name: each makes the sampler of one draw from a seed."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.sampling.sampler import ScalarizingSampler, scalarized
from studies.benchmarks.search.simulation import Sampling

BAND = 0.1  # of the lowest loss so far, within which a loss is taken for feasible

Telling = Callable[[FrozenTrial, float], FrozenTrial]
"""What is told of a trial with an outcome, beside the lowest loss of all."""


class Retold(BaseSampler):
    """One of Optuna's samplers. It sees a study in memory, made anew for each draw, in which `telling` tells trials.

    pruned: a run that was given up is told as PRUNED instead of as what it had reached.
    """

    def __init__(self, inner: BaseSampler, telling: Telling, *, objectives: int = 1, pruned: bool = False) -> None:
        self._inner, self._telling, self._pruned = inner, telling, pruned
        self._directions = [StudyDirection.MINIMIZE] * objectives
        self._study: optuna.Study | None = None

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters of the trials so far."""
        return optuna.search_space.intersection_search_space(self._retold(study).get_trials(deepcopy=False))

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """All of them at once."""
        return self._retold(study).ask(search_space).params if search_space else {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:  # noqa: ANN401
        """One that no trial has had yet."""
        return self._retold(study).ask({param_name: param_distribution}).params[param_name]

    def _retold(self, study: optuna.Study) -> optuna.Study:
        if self._study is None:
            trials = [trial for trial in study.get_trials(deepcopy=False) if trial.params]
            lowest = min((loss for trial in trials if (loss := trial.user_attrs.get("val_loss"))), default=math.nan)
            self._study = optuna.create_study(directions=self._directions, sampler=self._inner)
            self._study.add_trials(self._told(trial, lowest) for trial in trials)
        return self._study

    def _told(self, trial: FrozenTrial, lowest: float) -> FrozenTrial:
        if trial.state == TrialState.RUNNING or (self._pruned and trial.state == TrialState.PRUNED):
            return create_trial(state=trial.state, params=trial.params, distributions=trial.distributions)
        return self._telling(trial, lowest)


def single_objective(inner: BaseSampler, seed: int, *, gap_weight: float, pruned: bool = False) -> Retold:
    """On log(loss) + w gap / loss, w drawn from 0 to `gap_weight`."""
    weight = float(np.random.default_rng(seed).uniform(0, gap_weight))

    def told(trial: FrozenTrial, lowest: float) -> FrozenTrial:
        value = scalarized(trial, weight)
        assert math.isfinite(value)
        return create_trial(params=trial.params, distributions=trial.distributions, value=value)

    return Retold(inner, told, pruned=pruned)


def bounded(inner: BaseSampler) -> Retold:
    """On loss and gap, with a constraint: a loss within `BAND` of the lowest so far."""

    def told(trial: FrozenTrial, lowest: float) -> FrozenTrial:
        loss, gap = float(trial.user_attrs["val_loss"]), max(float(trial.user_attrs["gap"]), 0.0)
        missed = {"loss": loss / lowest - 1 - BAND}
        return create_trial(
            params=trial.params, distributions=trial.distributions, values=[loss, gap], constraints=missed
        )

    return Retold(inner, told, objectives=2)


def _tpe(seed: int) -> BaseSampler:
    return TPESampler(seed=seed, multivariate=True)


def _gp(seed: int) -> BaseSampler:
    return GPSampler(seed=seed)


CANDIDATES: dict[str, Sampling] = {
    "random": lambda seed: RandomSampler(seed=seed),
    "quasi-random": lambda seed: QMCSampler(seed=0, scramble=True, warn_independent_sampling=False),
    "NSGA-II": lambda seed: NSGAIISampler(seed=seed, population_size=20),
    "TPE, two objectives (before)": _tpe,
    "TPE, two objectives, loss within 10%": lambda seed: bounded(_tpe(seed)),
    "TPE, loss": lambda seed: single_objective(_tpe(seed), seed, gap_weight=0.0),
    "TPE, loss and gap": lambda seed: single_objective(_tpe(seed), seed, gap_weight=0.3),
    "TPE, loss and gap, PRUNED": lambda seed: single_objective(_tpe(seed), seed, gap_weight=0.3, pruned=True),
    "Gaussian process, loss": lambda seed: ScalarizingSampler(seed, gap_weight=0.0),
    "**Gaussian process, loss and gap**": ScalarizingSampler,
    "Gaussian process, w to 1": lambda seed: ScalarizingSampler(seed, gap_weight=1.0),
    "Gaussian process, 4 at random": lambda seed: ScalarizingSampler(seed, random_first=4),
    "Gaussian process, 12 at random": lambda seed: ScalarizingSampler(seed, random_first=12),
    "Optuna's GPSampler, loss and gap": lambda seed: single_objective(_gp(seed), seed, gap_weight=0.3),
    "Optuna's GPSampler, two objectives": _gp,
    "Optuna's GPSampler, two objectives, loss within 10%": lambda seed: bounded(_gp(seed)),
}
SLOW = tuple(name for name in CANDIDATES if "GPSampler" in name)  # half a second per draw
