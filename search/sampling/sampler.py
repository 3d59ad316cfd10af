"""The sampler of a search: a low validation loss first, and a small gap with it.

The front of validation loss and gap reaches down to networks that have learned nothing and have no gap. A sampler for
two equal objectives spends half of its trials there. This one minimizes log(loss) + w gap / loss instead, with another
w for each draw, as ParEGO does (Knowles 2006, "ParEGO: a hybrid algorithm with on-line landscape approximation for
expensive multiobjective optimization problems"), so that it still finds the front's useful end.
"""

import math
from collections.abc import Sequence, Set
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.search_space import intersection_search_space
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.results.schema import TURNED_DOWN
from search.results.snapshot import stand_ins
from search.sampling.gaussian_process import Surrogate, one_thread
from search.sampling.unit_cube import UnitCube

GAP_WEIGHT = 0.3  # the most that a gap as large as the loss counts for, in units of the log loss
RANDOM_FIRST = 8  # trials before a model of them is of use
MOST = 100  # trials that the model is made of: the time for it grows with their cube
MOST_TURNED_DOWN = 50  # trials that the space could not take, from which it learns where not to draw
LOWEST = 1e-12  # nats: losses at or below it count as this
SPREAD = 10  # 2 to the power of it: candidates all over the space
NEAR, BEST = 60, 5  # candidates near each of the best trials; how many of these
DISTANCES = (0.03, 0.1, 0.25)  # in the unit cube, from a trial to the candidates near it


class ScalarizingSampler(BaseSampler):
    """Draws one trial: what it draws is a function of the seed and of the study as it is.

    gap_weight: w is drawn from 0 to this. random_first: trials that are drawn at random.
    """

    def __init__(self, seed: int, *, gap_weight: float = GAP_WEIGHT, random_first: int = RANDOM_FIRST) -> None:
        self._rng = np.random.default_rng(seed)
        self._weight = float(self._rng.uniform(0.0, gap_weight))
        self._random_first = random_first
        self._single = TPESampler(seed=seed, n_startup_trials=random_first)
        self._trials: list[FrozenTrial] = []  # that it learns from

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that all trials have: those are drawn together."""
        self._trials = _most_telling(_ended(study), self._weight)
        if len(self._trials) < self._random_first:
            return {}
        space = intersection_search_space(self._trials, include_pruned=True)
        return {name: distribution for name, distribution in space.items() if not distribution.single()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The candidate of most worth."""
        values = _values(self._trials, self._weight)
        if not search_space or values.min() == values.max():  # of no use to a model: TPE draws each by itself
            return {}
        with one_thread():
            return self._best_candidate(study, UnitCube(search_space), search_space.keys())

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:  # noqa: ANN401
        """A parameter that only some trials have: by Optuna's TPE; at random in the beginning."""
        single = optuna.create_study(sampler=self._single)
        values = _values(self._trials, self._weight)
        single.add_trials(_with_one(param_name, *one) for one in zip(self._trials, values, strict=True))
        return single.ask({param_name: param_distribution}).params[param_name]

    def _best_candidate(self, study: optuna.Study, cube: UnitCube, names: Set[str]) -> dict[str, Any]:
        points, values = cube.points([one.params for one in self._trials]), _robust(_values(self._trials, self._weight))
        unwanted = [one.params for one in _turned_down(study) if names <= one.params.keys()]
        known = np.vstack([points, cube.points(unwanted)]) if unwanted else points
        values = np.append(values, np.full(len(unwanted), values.max()))  # as bad as the worst: others are drawn then
        surrogate = Surrogate(cube.features(known), values)
        best = points[np.argsort(surrogate.expected()[: len(points)], kind="stable")[:BEST]]
        running = [one.params for one in _running(study) if names <= one.params.keys()]
        if running:
            surrogate.believe(cube.features(cube.points(running)))
        candidates = np.vstack([cube.spread(SPREAD, self._rng), self._near(best)])
        return cube.params(candidates[np.argmax(self._worth(surrogate, cube, points, candidates))])

    def _worth(self, surrogate: Surrogate, cube: UnitCube, points: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """What each candidate is worth, (m,): its expected improvement. points: of the trials that it learns from."""
        return surrogate.expected_improvement(cube.features(candidates))

    def _near(self, points: np.ndarray) -> np.ndarray:
        """Candidates near each of the points, that differ from it in about half of the parameters."""
        centers = np.repeat(points, NEAR, axis=0)
        distances = self._rng.choice(DISTANCES, size=(len(centers), 1))
        moves = self._rng.standard_normal(centers.shape) * (self._rng.random(centers.shape) < 0.5)
        return np.clip(centers + distances * moves, 0.0, 1.0)


def scalarized(trial: FrozenTrial, weight: float) -> float:
    """What is minimized: log(loss) + weight gap / loss, at the best epoch, and what misses the constraints on top.

    A run that was given up counts as what it had reached: it would have ended lower, so it is not tried again. NaN
    where a trial has no finite loss.
    """
    loss, gap = trial.user_attrs.get("val_loss"), trial.user_attrs.get("gap")
    if loss is None or gap is None:
        return math.nan
    loss = max(float(loss), LOWEST)
    missed = sum(max(violation, 0.0) for violation in trial.constraints.values())
    return math.log(loss) + weight * max(float(gap), 0.0) / loss + missed


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    """The trials with an outcome, each configuration once."""
    trials = study.get_trials(deepcopy=False)
    others = stand_ins(trials)
    return [
        trial
        for trial in trials
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and trial.number not in others
    ]


def _turned_down(study: optuna.Study) -> list[FrozenTrial]:
    """The last ones that the space could not take."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    return [trial for trial in trials if TURNED_DOWN in trial.user_attrs][-MOST_TURNED_DOWN:]


def _running(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def _values(trials: Sequence[FrozenTrial], weight: float) -> np.ndarray:
    """The `scalarized` value of each trial, (n,); that of the worst one for those without a finite loss."""
    values = np.array([scalarized(trial, weight) for trial in trials])
    finite = np.isfinite(values)
    return np.where(finite, values, values[finite].max() if finite.any() else 0.0)


def _robust(values: np.ndarray) -> np.ndarray:
    """Values far above the rest, brought nearer: how bad a bad run is does not matter, and would bend the model."""
    middle = float(np.median(values))
    return np.minimum(values, middle + 2 * (middle - values.min()))


def _with_one(name: str, trial: FrozenTrial, value: float) -> FrozenTrial:
    """A finished trial of that value with one parameter; without it where `trial` lacks it, or was queued outside its
    range, which Optuna lets run and takes back nowhere.
    """
    try:
        params, ranges = {name: trial.params[name]}, {name: trial.distributions[name]}
        return create_trial(params=params, distributions=ranges, value=value)
    except (KeyError, ValueError):
        return create_trial(value=value)


def _most_telling(trials: Sequence[FrozenTrial], weight: float) -> list[FrozenTrial]:
    """At most `MOST` trials: the best, and the last ones."""
    if len(trials) <= MOST:
        return list(trials)
    order = np.argsort(_values(trials, weight), kind="stable")
    kept = {int(row) for row in order[: MOST // 2]}
    rest = [row for row in range(len(trials)) if row not in kept]
    kept |= set(rest[-(MOST - len(kept)) :])
    return [trials[row] for row in sorted(kept)]
