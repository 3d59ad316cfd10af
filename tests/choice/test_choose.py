import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.choice.choose import candidates, choose, nearest
from search.choice.constraints import Terms, best_epoch
from search.choice.fit import fit_regime
from search.choice.pareto import clearly_beaten, front, on_front
from search.choice.run import Run
from search.measurement import Measurement

NAN, INF = math.nan, math.inf
deterministic = settings(derandomize=True, deadline=None, max_examples=200)


def run(number, val_loss, gap=0.0, *, se=0.0, gap_se=0.0, parameters=100, feasible=True):
    return Run(
        number=number,
        val_loss=val_loss,
        gap=gap,
        val_loss_se=se,
        gap_se=gap_se,
        train_loss=val_loss - gap,
        train_accuracy=1.0,
        val_accuracy=1.0,
        accuracy_gap=0.0,
        parameters=parameters,
        best_epoch=0,
        epochs_run=1,
        stopped="finished",
        fit="good",
        feasible=feasible,
    )


def numbers(runs):
    return [run.number for run in runs]


@st.composite
def studies(draw):
    """Runs on a coarse grid, so that ties in one objective and in both are frequent, in any order."""
    points = draw(st.lists(st.tuples(st.integers(1, 6), st.integers(-3, 5), st.booleans()), max_size=12))
    return [run(number, loss / 8, gap / 8, feasible=ok) for number, (loss, gap, ok) in enumerate(points)]


def dominates(one, other):
    """The definition: nowhere worse, somewhere better."""
    pairs = list(zip(one.objectives, other.objectives, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


@deterministic
@given(studies())
def test_front_is_what_its_definition_says(runs):
    feasible = [run for run in runs if run.feasible]
    expected = [run for run in feasible if not any(dominates(other, run) for other in feasible)]
    found = front(runs)
    assert sorted(numbers(found)) == numbers(expected)
    assert [run.val_loss for run in found] == sorted(run.val_loss for run in expected)
    assert [run for run in runs if on_front(run, runs)] == [run for run in runs if run in found]


def test_front_does_not_depend_on_the_order_of_the_runs():
    runs = [run(0, 0.1, 0.9), run(1, 0.2, 0.5), run(2, 0.3, 0.7), run(3, 0.4, 0.2), run(4, 0.5, 0.2)]
    for order in itertools.permutations(runs):  # most of the 120 are not their own inverse
        assert numbers(front(order)) == [0, 1, 3]


def test_a_negative_gap_is_no_better_than_none():
    assert run(0, 0.5, -0.3).objectives == (0.5, 0.0)
    assert numbers(front([run(0, 0.5, 0.0), run(1, 0.6, -0.3)])) == [0]


def test_runs_alike_in_both_objectives_are_both_on_the_front():
    assert numbers(front([run(0, 0.5, 0.1), run(1, 0.5, 0.1), run(2, 0.4, 0.3)])) == [2, 0, 1]


def test_an_infeasible_run_hides_nobody():
    assert numbers(front([run(0, 0.1, 0.0, feasible=False), run(1, 0.5, 0.5)])) == [1]


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
    tied = [replace(close[0], gap_se=0.2), close[1]]
    assert "lowest loss among those whose gap is within noise" in choose(tied, {}).reason
    assert "no other run is within noise" in choose([close[1], close[2]], {}).reason


@deterministic
@given(studies(), st.integers(0, 3), st.integers(0, 3))
def test_the_choice_is_feasible_on_the_front_of_its_band_and_independent_of_order(runs, se, gap_se):
    runs = [replace(run, val_loss_se=se / 8, gap_se=gap_se / 8) for run in runs]
    choice = choose(runs, {})
    if choice is None:
        assert not any(run.feasible for run in runs)
        return
    assert choice.run.feasible
    assert choice.run in front(choice.band)
    assert choose(runs[3:] + runs[:3], {}).run == choice.run


@pytest.mark.parametrize(
    ("val_loss", "gap", "terms", "expected"),
    [
        ([0.9, 0.5, 0.6], [0.0, 0.2, 0.3], Terms(1.0), 1),
        ([0.9, 0.5, 0.6], [0.0, 0.2, 0.1], Terms(1.0, max_gap=0.1), 2),
        ([0.9, 0.5, 0.6], [0.1, 0.2, 0.3], Terms(1.0, max_gap=0.1), 0),
        ([0.9, 0.5, 0.6], [0.1, 0.2, 0.3], Terms(0.8, max_gap=0.1), 1),
        ([0.9, 0.7, 0.6], [0.1, 0.1, 0.3], Terms(0.7, max_gap=0.1), 1),
        ([0.9, 0.5, 0.5], [0.1, 0.2, 0.1], Terms(1.0), 1),
        ([0.9, NAN, 0.6, INF], [0.1, NAN, 0.3, INF], Terms(1.0), 2),
        ([0.9, -INF, 0.6], [0.1, -INF, 0.3], Terms(1.0), 2),
        ([0.9, 0.1, 0.2], [0.1, NAN, -INF], Terms(1.0), 0),
        ([NAN, 0.9], [0.1, 0.2], Terms(0.5), 1),
        ([NAN, INF], [NAN, INF], Terms(1.0), None),
        ([], [], Terms(1.0), None),
    ],
)
def test_best_epoch(val_loss, gap, terms, expected):
    assert best_epoch(val_loss, gap, terms) == expected


def test_terms_are_missed_by_a_share_of_the_baseline_and_by_nats_of_gap():
    terms = Terms(0.5, max_gap=0.25)
    assert terms.violations(0.75, 0.125) == {"baseline": 0.5, "max_gap": -0.125}
    assert not terms.respected(0.75, 0.125)
    assert not terms.respected(0.25, 0.5)
    assert terms.respected(0.5, 0.25)
    assert Terms(0.5, max_gap=0.0).violations(0.25, 0.125) == {"baseline": -0.5, "max_gap": 0.125}
    assert Terms(0.5).violations(0.25, 9.0) == {"baseline": -0.5}


@pytest.mark.parametrize(
    ("other", "beaten"),
    [
        pytest.param(run(1, 0.3, 0.1, se=0.1, gap_se=0.1), True, id="0.35 in both, noise 0.28"),
        pytest.param(run(1, 0.45, 0.1, se=0.1, gap_se=0.1), False, id="loss within noise"),
        pytest.param(run(1, 0.3, 0.25, se=0.1, gap_se=0.1), False, id="gap within noise"),
        pytest.param(run(1, 0.3, 0.1, se=0.2, gap_se=0.1), False, id="noise of the other counts"),
        pytest.param(run(1, 0.3, 0.1, se=0.1, gap_se=0.1, feasible=False), False, id="infeasible"),
        pytest.param(run(1, 0.3, 0.7, se=0.1, gap_se=0.1), False, id="better in one alone"),
    ],
)
def test_clearly_beaten(other, beaten):
    assert clearly_beaten(run(0, 0.65, 0.45, se=0.1, gap_se=0.1), [run(2, 9, 9), other]) is beaten


def test_a_gap_below_zero_beats_nobody_by_its_depth():
    assert not clearly_beaten(run(0, 0.6, 0.05, gap_se=0.1), [run(1, 0.3, -0.9, gap_se=0.1)])


def test_being_equal_in_one_objective_is_not_being_beaten():
    one = run(0, 0.6, 0.3)
    assert not clearly_beaten(one, [one, run(1, 0.6, 0.1), run(2, 0.4, 0.3)])


def test_candidates_lie_within_a_tenth_of_the_best():
    runs = [run(0, 1.11), run(1, 1.09), run(2, 1.0), run(3, 0.5, feasible=False), run(4, 1.05)]
    assert numbers(candidates(runs)) == [2, 4, 1]
    assert numbers(candidates(runs, most=2)) == [2, 4]
    assert candidates([runs[3]]) == []


def test_candidates_lie_within_noise_of_the_best_where_noise_is_larger():
    runs = [run(0, 1.0, se=0.1), run(1, 1.28), run(2, 1.29)]  # 2 sqrt(2) 0.1 = 0.283
    assert numbers(candidates(runs)) == [0, 1]


def test_nearest_has_the_smallest_largest_violation():
    runs = [run(0, 1.35, 0.1), run(1, 1.2, 0.5), run(2, 1.3, 0.2), run(3, 1.1, 0.9)]
    assert nearest(runs, Terms(1.0)).number == 3
    assert nearest(runs, Terms(1.0, max_gap=0.1)).number == 2
    assert nearest([run(5, 1.2), run(4, 1.2)], Terms(1.0)).number == 4
    assert nearest([], Terms(1.0)) is None


def epoch(train_accuracy, val_accuracy, *, val_loss=0.5, gap=0.4, gap_se=0.1):
    return Measurement(val_loss - gap, val_loss, train_accuracy, val_accuracy, 0.0, gap_se)


@pytest.mark.parametrize(
    ("measured", "regime"),
    [
        (epoch(0.99, 0.70, val_loss=1.0), "underfit"),
        (epoch(0.99, 0.70, val_loss=1.2), "underfit"),
        (epoch(0.99, 0.70, val_loss=0.9), "true overfit"),
        (epoch(0.98, 0.92), "true overfit"),
        (epoch(0.97, 0.60), "partial overfit"),
        (epoch(0.99, 0.95), "partial overfit"),
        (epoch(0.90, 0.86), "partial overfit"),
        (epoch(0.90, 0.88), "good"),
        (epoch(0.99, 0.97), "good"),
        (epoch(0.90, 0.95, gap=-0.4), "good"),
        (epoch(0.99, 0.70, gap_se=0.25), "good"),
        (epoch(0.99, 0.70, gap_se=0.19), "true overfit"),
    ],
)
def test_fit_regime(measured, regime):
    assert fit_regime(measured, baseline_loss=1.0) == regime
