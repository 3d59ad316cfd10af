"""The choice within noise, the runs that it is made from, and what comes nearest where there is none."""

import math
from dataclasses import replace

import numpy as np
import pytest
from builders import exact_run as run
from builders import numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import studies

from search.choice.choose import candidates, choose, nearest
from search.choice.constraints import Constraints
from search.choice.pareto import front

deterministic = settings(derandomize=True, deadline=None, max_examples=200)


def noisy(run, **errors):
    """The same run with other standard errors."""
    return replace(run, at_best=replace(run.at_best, **errors))


@pytest.mark.parametrize(
    ("runs", "chosen", "band"),
    [
        pytest.param([run(0, 0.5, 0.2)], 0, [0], id="the only one"),
        pytest.param([run(0, 0.52, 0.0, se=0.01), run(1, 0.5, 0.2, se=0.01)], 1, [1], id="beyond noise"),
        pytest.param([run(0, 0.51, 0.1, se=0.01), run(1, 0.5, 0.2, se=0.01)], 0, [1, 0], id="the smallest gap"),
        pytest.param(
            [run(0, 0.51, 0.1, se=0.01, gap_se=0.2, parameters=9), run(1, 0.5, 0.2, se=0.01)],
            1,
            [1, 0],
            id="gaps tie: lower loss",
        ),
        pytest.param(
            [run(0, 0.51, 0.1, se=0.01, gap_se=0.05), run(1, 0.5, 0.2, se=0.01)], 0, [1, 0], id="gaps do not tie"
        ),
        pytest.param(
            [run(0, 0.5, 0.1, parameters=9), run(1, 0.5, 0.1, parameters=5), run(2, 0.5, 0.1, parameters=7)],
            1,
            [0, 1, 2],
            id="all ties: fewer parameters",
        ),
        pytest.param([run(3, 0.5, 0.1), run(2, 0.5, 0.1)], 2, [3, 2], id="alike: the earlier one"),
        pytest.param([run(0, 0.51, -0.2, se=0.01), run(1, 0.5, 0.0, se=0.01)], 1, [1, 0], id="gaps clamped at zero"),
        pytest.param([run(0, 0.1, 0.0, feasible=False), run(1, 0.5, 0.5)], 1, [1], id="an infeasible one is not there"),
        pytest.param([run(0, 0.6, 0.1, se=0.1), run(1, 0.5, 0.1, se=0.1)], 1, [1, 0], id="nothing gained by more loss"),
    ],
)
def test_choice(runs, chosen, band):
    choice = choose(runs, {})
    assert choice.run.number == chosen
    assert numbers(choice.band) == band


def test_nothing_feasible_nothing_chosen():
    assert choose([], {}) is None
    assert choose([run(0, 0.5, feasible=False)], {}) is None


@pytest.mark.parametrize(("spread", "chosen"), [(0.02, 0), (0.01, 1)])
def test_the_band_goes_by_paired_noise(spread, chosen):
    # differences 0.01 +- spread on four images: standard errors 0.0115 and 0.0058
    runs = [run(0, 0.51, 0.1, se=0.2), run(1, 0.5, 0.2, se=0.2)]
    best = np.array([0.1, 0.9, 0.2, 0.8])
    paired = {1: best, 0: best + 0.01 + spread * np.array([1, -1, 1, -1])}
    assert choose(runs, paired).run.number == chosen
    assert choose(runs, {}).run.number == 0
    assert choose(runs, {1: best}).run.number == 0


def test_the_reason_fits_the_choice():
    close = [run(0, 0.51, 0.1, se=0.01), run(1, 0.5, 0.2, se=0.01), run(2, 0.9)]
    assert choose(close, {}).reason.endswith("it has the smallest gap")
    assert "of the 2 runs" in choose(close, {}).reason
    assert "(0.5000)" in choose(close, {}).reason
    tied = [noisy(close[0], gap_se=0.2), close[1]]
    assert "lowest loss among those whose gap is within noise" in choose(tied, {}).reason
    assert "no other run is within noise" in choose([close[1], close[2]], {}).reason


@deterministic
@given(studies(), st.integers(0, 3), st.integers(0, 3))
def test_the_choice_is_feasible_on_the_front_of_its_band_and_independent_of_order(runs, se, gap_se):
    runs = [noisy(run, val_loss_se=se / 8, gap_se=gap_se / 8) for run in runs]
    choice = choose(runs, {})
    if choice is None:
        assert not any(run.feasible for run in runs)
        return
    assert choice.run.feasible
    assert choice.run in front(choice.band)
    assert choose(runs[3:] + runs[:3], {}).run == choice.run


def test_seed_noise_widens_the_band():
    best, other = run(0, 1.00, 0.50, gap_se=0.01), run(1, 1.03, 0.10, gap_se=0.01)
    assert choose([best, other], {}).run is best
    assert choose([best, other], {}, seed_std=0.02).run is best  # sqrt(2) * 0.02 = 0.028
    choice = choose([best, other], {}, seed_std=0.022)  # 0.031
    assert choice.run is other
    assert "seeds alone: 0.0220" in choice.reason


def test_seed_noise_reaches_as_far_as_it_goes():
    """Beyond a tenth of the lowest loss, and beyond the images' noise."""
    best, other = run(0, 0.03, 0.02, se=0.001), run(1, 0.05, 0.00, se=0.001)
    assert numbers(choose([best, other], {}, seed_std=0.01).band) == [0]
    assert numbers(choose([best, other], {}, seed_std=0.015).band) == [0, 1]  # sqrt(2) * 0.015 = 0.0212


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_in_an_image_does_not_hide_the_best(bad):
    runs = [run(0, 1.00, 0.5, se=bad, gap_se=bad), run(1, 1.01, 0.1, se=0.02, gap_se=bad)]
    losses = {0: np.array([1.0, bad, 1.0]), 1: np.array([1.0, 1.0, 1.0])}
    assert choose(runs, losses).run.number == 0  # nothing is known of the noise, so there is none to hide in
    assert choose(runs[:1], losses).run.number == 0


def test_candidates_lie_within_a_tenth_of_the_best():
    runs = [run(0, 1.11), run(1, 1.09), run(2, 1.0), run(3, 0.5, feasible=False), run(4, 1.05)]
    assert numbers(candidates(runs)) == [2, 4, 1]
    assert numbers(candidates(runs, most=2)) == [2, 4]
    assert candidates([runs[3]]) == []


def test_candidates_lie_within_noise_of_the_best_where_noise_is_larger():
    # a lucky run reports a small error: 2 hypot(0.03, 0.14) = 0.286, 2 hypot(0.03, 0.13) = 0.267
    runs = [run(0, 1.0, se=0.03), run(1, 1.28, se=0.14), run(2, 1.28, se=0.13)]
    assert numbers(candidates(runs)) == [0, 1]


def test_nearest_has_the_smallest_largest_violation():
    runs = [run(0, 1.35, 0.1), run(1, 1.2, 0.5), run(2, 1.3, 0.2), run(3, 1.1, 0.9)]
    assert nearest(runs, Constraints(1.0)).number == 3
    assert nearest(runs, Constraints(1.0, max_gap=0.1)).number == 2
    assert nearest([run(5, 1.2), run(4, 1.2)], Constraints(1.0)).number == 4
    assert nearest([], Constraints(1.0)) is None
