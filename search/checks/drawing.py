"""Drawing a configuration by hand: a space meets a genuine trial, with all that it can do, in a study in memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from search.spaces import Suggest

Values = Callable[[str, BaseDistribution], object]  # a parameter's name and what it is drawn from -> its value


@dataclass(frozen=True)
class Drawn:
    """What a space draws once."""

    config: dict[str, Any]  # what the space returned
    params: dict[str, Any]  # what was drawn for it
    distributions: dict[str, BaseDistribution]  # from where


def draw(suggest: Suggest, values: Values) -> Drawn:
    """Draw one configuration; `values` is not asked for a parameter that has one value alone."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it tells of every study that is made
    trial = optuna.create_study(sampler=_Sampler(values)).ask()
    config = suggest(trial)
    return Drawn(config, trial.params, trial.distributions)


def value_at(distribution: BaseDistribution, place: float) -> object:
    """The value at a place between 0 and 1, on the scale that the parameter is drawn on."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[round(place * (len(distribution.choices) - 1))]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high = distribution.low, distribution.high
    return nearest(distribution, low * (high / low) ** place if distribution.log else low + (high - low) * place)


def nearest(distribution: IntDistribution | FloatDistribution, value: float) -> float:
    """The number closest to `value`, which may be infinite, that can be drawn."""
    low, high, step = distribution.low, distribution.high, distribution.step
    value = min(max(value, low), high)
    if step is not None:
        value = low + round((value - low) / step) * step
    return type(low)(min(max(value, low), high))


class _Sampler(optuna.samplers.BaseSampler):
    """Has every parameter drawn as `values` says."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> object:
        return self._values(param_name, param_distribution)
