"""Parameters as points of a unit cube, one coordinate for each of them, and as features of a Gaussian process."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import qmc


class UnitCube:
    """The space of some parameters, by their Optuna distributions.

    Numbers keep their scale: linear, or logarithmic where they are drawn so. Every integer, and every choice of a
    categorical parameter, has an equal share of its coordinate (on that scale).
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self._axes = {name: _axis(distribution) for name, distribution in distributions.items()}

    def points(self, params: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Parameters of n trials -> points (n, parameters)."""
        columns = [[axis.coordinate(one[name]) for one in params] for name, axis in self._axes.items()]
        return np.array(columns, dtype=np.float64).reshape(len(self._axes), len(params)).T

    def params(self, point: np.ndarray) -> dict[str, Any]:
        """A point (parameters,) -> the parameters there."""
        return {name: axis.value(float(x)) for (name, axis), x in zip(self._axes.items(), point, strict=True)}

    def features(self, points: np.ndarray) -> np.ndarray:
        """Points (n, parameters) -> features (n, f): where the values that they stand for lie.

        One for a number; one for each choice of a categorical parameter.
        """
        return np.hstack([axis.features(column) for axis, column in zip(self._axes.values(), points.T, strict=True)])

    def spread(self, log2: int, rng: np.random.Generator) -> np.ndarray:
        """2**log2 points that fill the cube evenly: a scrambled Sobol sequence."""
        return qmc.Sobol(len(self._axes), rng=rng).random_base2(log2)


class _Number:
    """A float or an integer. An integer's coordinate goes half a step beyond both of its ends."""

    def __init__(self, distribution: FloatDistribution | IntDistribution) -> None:
        self._distribution, self._log = distribution, distribution.log
        half = 0.0 if distribution.step is None else distribution.step / 2
        self._low, self._high = self._scaled(distribution.low - half), self._scaled(distribution.high + half)

    def coordinate(self, value: float) -> float:
        return (self._scaled(value) - self._low) / (self._high - self._low)

    def value(self, x: float) -> float | int:
        whole = isinstance(self._distribution, IntDistribution)
        return (int if whole else float)(self._snapped(np.array([x]))[0])

    def features(self, column: np.ndarray) -> np.ndarray:
        values = self._snapped(column)
        return ((np.log(values) if self._log else values)[:, None] - self._low) / (self._high - self._low)

    def _scaled(self, value: float) -> float:
        return math.log(value) if self._log else value

    def _snapped(self, column: np.ndarray) -> np.ndarray:
        """The values at these coordinates, (n,)."""
        scaled = self._low + column * (self._high - self._low)
        values = np.exp(scaled) if self._log else scaled
        low, step = self._distribution.low, self._distribution.step
        if step is not None:
            values = low + step * np.round((values - low) / step)
        return np.clip(values, low, self._distribution.high)


class _Categorical:
    def __init__(self, distribution: CategoricalDistribution) -> None:
        self._distribution = distribution
        self._count = len(distribution.choices)

    def coordinate(self, value: Any) -> float:  # noqa: ANN401
        return (self._distribution.to_internal_repr(value) + 0.5) / self._count

    def value(self, x: float) -> Any:  # noqa: ANN401
        return self._distribution.choices[int(self._index(np.array([x]))[0])]

    def features(self, column: np.ndarray) -> np.ndarray:
        return np.eye(self._count)[self._index(column)]

    def _index(self, column: np.ndarray) -> np.ndarray:
        return np.minimum((column * self._count).astype(int), self._count - 1)


def _axis(distribution: BaseDistribution) -> _Number | _Categorical:
    """Raises TypeError for a kind of distribution that Optuna 5 does not have."""
    if isinstance(distribution, CategoricalDistribution):
        return _Categorical(distribution)
    if isinstance(distribution, FloatDistribution | IntDistribution):
        return _Number(distribution)
    raise TypeError(f"no parameter is drawn from {distribution}")
