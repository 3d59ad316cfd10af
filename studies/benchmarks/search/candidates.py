"""The samplers that are compared, by name: each makes the sampler of one draw from a seed."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.sampling.sampler import ScalarizingSampler, scalarized
from studies.benchmarks.search.simulation import Sampling


class SingleObjective(BaseSampler):
    """One of Optuna's samplers on one objective: log(loss) + w gap / loss, w drawn from 0 to `gap_weight`.

    It sees a study in memory that is made anew for each draw. pruned: a run that was given up is told as PRUNED
    instead of as what it had reached.
    """

    def __init__(
        self, inner: Callable[[int], BaseSampler], seed: int, *, gap_weight: float, pruned: bool = False
    ) -> None:
        self._inner, self._pruned = inner(seed), pruned
        self._weight = float(np.random.default_rng(seed).uniform(0, gap_weight))
        self._study: optuna.Study | None = None

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters of the trials so far."""
        return optuna.search_space.intersection_search_space(self._single(study).get_trials(deepcopy=False))

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """All of them at once."""
        return self._single(study).ask(search_space).params if search_space else {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:  # noqa: ANN401
        """One that no trial has had yet."""
        return self._single(study).ask({param_name: param_distribution}).params[param_name]

    def _single(self, study: optuna.Study) -> optuna.Study:
        if self._study is None:
            self._study = optuna.create_study(sampler=self._inner)
            self._study.add_trials(self._told(trial) for trial in study.get_trials(deepcopy=False) if trial.params)
        return self._study

    def _told(self, trial: FrozenTrial) -> FrozenTrial:
        if trial.state == TrialState.RUNNING or (self._pruned and trial.state == TrialState.PRUNED):
            return create_trial(state=trial.state, params=trial.params, distributions=trial.distributions)
        value = scalarized(trial, self._weight)
        assert math.isfinite(value)
        return create_trial(params=trial.params, distributions=trial.distributions, value=value)


def _tpe(seed: int) -> BaseSampler:
    return TPESampler(seed=seed, multivariate=True)


def _gp(seed: int) -> BaseSampler:
    return GPSampler(seed=seed)


CANDIDATES: dict[str, Sampling] = {
    "random": lambda seed: RandomSampler(seed=seed),
    "quasi-random": lambda seed: QMCSampler(seed=0, scramble=True, warn_independent_sampling=False),
    "NSGA-II": lambda seed: NSGAIISampler(seed=seed, population_size=20),
    "TPE, two objectives (before)": _tpe,
    "TPE, loss": lambda seed: SingleObjective(_tpe, seed, gap_weight=0.0),
    "TPE, loss and gap": lambda seed: SingleObjective(_tpe, seed, gap_weight=0.3),
    "TPE, loss and gap, PRUNED": lambda seed: SingleObjective(_tpe, seed, gap_weight=0.3, pruned=True),
    "Gaussian process, loss": lambda seed: ScalarizingSampler(seed, gap_weight=0.0),
    "**Gaussian process, loss and gap**": ScalarizingSampler,
    "Gaussian process, w to 1": lambda seed: ScalarizingSampler(seed, gap_weight=1.0),
    "Gaussian process, 4 at random": lambda seed: ScalarizingSampler(seed, random_first=4),
    "Gaussian process, 12 at random": lambda seed: ScalarizingSampler(seed, random_first=12),
    "Optuna's GPSampler, loss and gap": lambda seed: SingleObjective(_gp, seed, gap_weight=0.3),
    "Optuna's GPSampler, two objectives": _gp,
}
SLOW = ("Optuna's GPSampler, loss and gap", "Optuna's GPSampler, two objectives")  # half a second per draw
