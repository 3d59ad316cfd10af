"""Which parameters closed the gap, on made-up studies whose truth is known."""

import math

import numpy as np
import pytest
from ended_trials import drawn, ended, ended_trials

from search.insight.gap_drivers import gap_drivers
from search.stopping.stopped import Stopped


def by_augmentation(params):
    return 0.5 - 0.4 * params["augmentation"]


def names(trials):
    return [driver.parameter for driver in gap_drivers(trials)]


def test_the_parameters_that_closed_the_gap_are_named_with_their_numbers():
    first, second = gap_drivers(ended_trials(lambda p: by_augmentation(p) + 0.1 * math.log(p["width"] / 8)))
    assert (first.parameter, second.parameter) == ("augmentation", "width")
    assert first.setting.startswith("augmentation of at least 0.")
    assert second.setting.startswith("width below ")
    assert first.inside + first.outside == 30
    assert first.gap_outside - first.gap_inside == pytest.approx(0.2, abs=0.08)
    assert not first.loss_differs


@pytest.mark.parametrize("slope", [0.2, -0.2])
def test_a_loss_that_differs_beyond_noise_is_told(slope):
    (driver,) = gap_drivers(ended_trials(by_augmentation, lambda p: 0.6 + slope * p["augmentation"]))
    assert driver.loss_differs
    assert (driver.loss_inside > driver.loss_outside) is (slope > 0)


def test_a_category_can_close_the_gap():
    (driver,) = gap_drivers(ended_trials(lambda p: 0.1 if p["norm"] == "layer" else 0.4))
    assert driver.setting == "norm layer"
    assert driver.gap_outside - driver.gap_inside == pytest.approx(0.3, abs=0.05)


def test_noise_closes_no_gap():
    """At most one study in twenty names a parameter that does nothing; 100 of 24 runs each."""
    named = [names(ended_trials(lambda p: 0.3, count=24, seed=seed)) for seed in range(100)]
    assert sum(map(bool, named)) <= 7


def test_a_parameter_that_merely_went_along_with_another_is_not_named():
    rng, trials = np.random.default_rng(0), []
    for number in range(40):
        params = drawn(rng)
        params["dropout"] = 0.5 * float(np.clip(params["augmentation"] + rng.normal(0, 0.1), 0, 1))
        trials.append(ended(number, gap=by_augmentation(params) + rng.normal(0, 0.01), **params))
    assert names(trials) == ["augmentation"]


def test_differences_below_a_gaps_own_error_are_not_told():
    trials = ended_trials(lambda p: 0.01 * p["augmentation"], noise=0.0)
    assert gap_drivers(trials) == []


def test_few_runs_and_hopeless_ones_say_nothing():
    hopeless = [
        ended(100 + n, gap=0.5 - n / 40, dropout=n / 40, pruned=True, stopped=Stopped.HOPELESS) for n in range(20)
    ]
    assert gap_drivers(ended_trials(by_augmentation, count=7) + hopeless) == []


def test_pruned_runs_that_reached_their_best_count():
    finished = ended_trials(by_augmentation, count=6)
    overfitted = ended_trials(by_augmentation, count=10, seed=1, pruned=True, stopped=Stopped.OVERFIT)
    assert names(finished) == []
    assert names(finished + overfitted) == ["augmentation"]
