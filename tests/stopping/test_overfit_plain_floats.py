"""The overfitting rule where it knows less: plain floats of raw weights, and a learning rate that is still to drop."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.stopping import OverfitRule
from search.stopping.overfit import curve_noise

NAN = math.nan
PROMPT = {"material": 0.0, "scatter": 0.0, "patience": 1}  # two epochs in a row
UNIT = 1 / (0.6745 * math.sqrt(1.5))  # the noise of a curve whose epochs are 1 away from the mean of their neighbours
FALLING = [1.0 / (epoch + 1) for epoch in range(30)]
STEADY = [1.3, 1.2, 1.1, 1.0, 1.0, *(1 + 0.1 * epoch for epoch in range(1, 8))]
NOISY_FLAT = [1.2, 1.4, 1.2, 1.4, 1.2, 1.0, *[1.2, 1.4] * 8]  # most are 0.2 away from the mean of their neighbours
# the rate drops at epoch 6; until then a rise of 0.3 at most, with at least 0.35 of the training loss left
HEALTHY = [1.0, 0.6, 0.5, 0.45, 0.4, 0.35, 0.2, 0.15, 0.1], [1.2, 1.0, 1.15, 1.2, 1.25, 1.3, 0.9, 1.0, 1.05]
MEMORIZED = [1.0, 0.6, 0.3, 0.1, 0.05, 0.04, 0.03, 0.02, 0.01], [1.2, 1.0, 1.15, 1.2, 1.25, 1.3, 1.2, 1.2, 1.2]
LATE = [1.0, 0.6, 0.5, 0.45, 0.4, 0.35, 0.3, 0.28, 0.26], [1.2, 1.0, 1.15, 1.2, 1.25, 1.3, 1.2, 1.2, 1.2]
losses = st.floats(0.01, 100) | st.sampled_from([NAN, math.inf, -math.inf])
curves = st.lists(st.tuples(losses, losses), min_size=1, max_size=40)
deterministic = settings(derandomize=True, deadline=None, max_examples=200)


def stop_of(rule, train, val):
    """The first epoch in which it stops; None: never."""
    return next((epoch for epoch, both in enumerate(zip(train, val, strict=False)) if rule.update(*both).stop), None)


@pytest.mark.parametrize(
    ("values", "noise"),
    [
        pytest.param([], 0.0, id="no epoch"),
        pytest.param([0, 1, 0, 1, 0], 0.0, id="five are too few"),
        pytest.param([0, 1, 0, 1, 0, 1], UNIT, id="six"),
        pytest.param([0, -10, 0, -10, 0, -10], 10 * UNIT, id="ten times as much"),
        pytest.param([7, 6, 5, 4, 3, 2, 1], 0.0, id="a slope is no noise"),
        pytest.param([5, 5, 5, 5, 5, 1, 1, 1, 1, 1], 0.0, id="one drop is none"),
        pytest.param([0, 0, 0, 3, 3, 0, 0, 3], 1.5 * UNIT, id="the median of 0, 1.5, 1.5, 1.5, 1.5 and 1.5"),
    ],
)
def test_the_noise_of_a_curve(values, noise):
    assert curve_noise(values) == pytest.approx(noise)


def test_the_noise_of_a_curve_is_a_standard_deviation():
    rng = np.random.default_rng(0)
    curve = 3 - 0.01 * np.arange(4000) + rng.normal(0, 0.25, 4000)
    assert curve_noise(curve) == pytest.approx(0.25, rel=0.05)


@pytest.mark.parametrize(
    ("z", "val", "stop"),
    [
        pytest.param(2.5, STEADY, 6, id="no noise: rises of 0.1 and 0.2 count"),
        pytest.param(2.5, NOISY_FLAT, None, id="noise 0.24: a rise of 0.4 is below 2.5 times as much"),
        pytest.param(0.9, NOISY_FLAT, None, id="one of 0.2 below 0.9 times as much, in every second epoch"),
        pytest.param(0.8, NOISY_FLAT, 7, id="not below 0.8 times as much"),
        pytest.param(0.0, NOISY_FLAT, 7, id="z of 0: noise is not asked for"),
    ],
)
def test_a_rise_counts_once_it_is_above_the_noise_of_the_curve(z, val, stop):
    assert stop_of(OverfitRule(**PROMPT, z=z), FALLING, val) == stop


def test_a_bump_that_a_run_has_recovered_from_is_no_noise_of_the_curve():
    bump = [1.0, 0.9, 5.0, 0.8, *(0.8 + 0.1 * epoch for epoch in range(1, 11))]
    assert (
        stop_of(OverfitRule(**PROMPT | {"scatter": 9.0}, z=2.5), FALLING, bump) == 9
    )  # most are smooth from epoch 8 on


def test_with_per_image_losses_the_noise_of_the_curve_is_not_asked_for():
    per_image = [np.full(4, loss) for loss in NOISY_FLAT]
    assert stop_of(OverfitRule(**PROMPT, z=2.5), FALLING, per_image) == 1


@pytest.mark.parametrize(
    ("curves_", "last_drop", "stop", "best"),
    [
        pytest.param(HEALTHY, 0, 3, 1, id="not told of the drop"),
        pytest.param(HEALTHY, 6, 8, 6, id="told: the drop brings a new best, and two epochs above it the end"),
        pytest.param(HEALTHY, 3, 4, 1, id="a drop that was planned for epoch 3: epochs 3 and 4 count"),
        pytest.param(MEMORIZED, 0, 3, 1, id="memorized, not told"),
        pytest.param(MEMORIZED, 6, 4, 1, id="told: rises of 0.2 and 0.25, more than the 0.1 and 0.05 that are left"),
        pytest.param(LATE, 6, 7, 1, id="the drop brings no new best: two epochs after it"),
    ],
)
def test_a_learning_rate_that_is_still_to_drop(curves_, last_drop, stop, best):
    rule = OverfitRule(material=0.1, z=0.0, scatter=0.0, patience=1, last_drop=last_drop)
    assert (stop_of(rule, *curves_), rule.state_dict()["best_epoch"]) == (stop, best)


@deterministic
@given(curves, st.integers(0, 50))
def test_the_best_epoch_is_the_lowest_so_far_and_no_number_neither_stops_nor_is_best(run, last_drop):
    rule, best = OverfitRule(last_drop=last_drop), None
    for epoch, both in enumerate(run):
        finite = all(math.isfinite(loss) for loss in both)
        if finite and (best is None or both[1] < run[best][1]):
            best = epoch
        decision = rule.update(*both)
        assert decision.best_epoch == best
        assert not decision.stop or (finite and best < epoch)


@deterministic
@given(curves, st.integers(1, 3))
def test_while_the_noise_is_not_known_no_run_is_stopped(run, patience):
    rule, finite = OverfitRule(patience=patience, material=0.0, scatter=0.0), 0
    for both in run:
        finite += all(map(math.isfinite, both))
        assert not rule.update(*both).stop or finite >= 6


@deterministic
@given(st.integers(0, 1000), st.integers(0, 60))
def test_a_drop_to_come_never_hastens_the_stop(seed, last_drop):
    rng = np.random.default_rng(seed)
    level = 0.6 + np.exp(-np.arange(60) / 4) + rng.uniform(0, 0.03) * np.maximum(np.arange(60) - 15, 0)
    val, train = level * (1 + rng.uniform(0, 0.05) * rng.normal(size=60)), np.exp(-np.arange(60) / rng.uniform(5, 60))
    stops = [stop_of(OverfitRule(last_drop=drop), train, val) for drop in (0, last_drop)]
    assert stops[1] is None or stops[0] <= stops[1]


@pytest.mark.parametrize("level", [0.5, 2.0])
def test_noise_alone_stops_half_of_the_runs_and_a_clear_rise_in_it_all(level):
    """60 epochs with noise of 4%: flat, where a patience of ten epochs stops all runs; and rising by 3% each."""
    rng = np.random.default_rng(0)

    def stops(slope):
        curve = 1 + np.exp(-np.arange(60) / 4) + slope * np.maximum(np.arange(60) - 15, 0)
        runs = [level * curve * (1 + 0.04 * rng.normal(size=60)) for _ in range(100)]
        return sum(stop_of(OverfitRule(), [1 / (epoch + 1) for epoch in range(60)], run) is not None for run in runs)

    assert stops(0.0) < 60
    assert stops(0.03) == 100


@pytest.mark.parametrize("last_drop", [-1, NAN])
def test_a_drop_before_the_first_epoch_is_named(last_drop):
    with pytest.raises(ValueError, match=f"last_drop is {last_drop}; it must be at least 0"):
        OverfitRule(last_drop=last_drop)


def test_the_noise_is_that_of_the_last_ten_epochs_with_a_number():
    rule = OverfitRule()
    for loss in [9.0, 8.0, *FALLING[:5], NAN, *FALLING[5:10]]:
        rule.update(1.0, loss)
    assert rule.state_dict()["recent"] == tuple(FALLING[:10])
