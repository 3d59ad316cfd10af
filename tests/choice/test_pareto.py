"""Who is beaten by whom."""

import itertools

import pytest
from builders import exact_run as run
from builders import numbers
from hypothesis import given, settings
from strategies import studies

from search.choice.pareto import clearly_beaten, front, on_front

deterministic = settings(derandomize=True, deadline=None, max_examples=200)


def dominates(one, other):
    """The definition: nowhere worse, somewhere better."""
    pairs = list(zip(one.objectives, other.objectives, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


@deterministic
@given(studies())
def test_the_front_is_what_its_definition_says(runs):
    feasible = [run for run in runs if run.feasible]
    expected = [run for run in feasible if not any(dominates(other, run) for other in feasible)]
    found = front(runs)
    assert sorted(numbers(found)) == numbers(expected)
    assert [run.at_best.val_loss for run in found] == sorted(run.at_best.val_loss for run in expected)
    assert [run for run in runs if on_front(run, runs)] == [run for run in runs if run in found]


def test_the_front_does_not_depend_on_the_order_of_the_runs():
    points = [(0.125, 0.75), (0.25, 0.5), (0.375, 0.625), (0.5, 0.25), (0.625, 0.25)]
    runs = [run(number, *point) for number, point in enumerate(points)]
    for order in itertools.permutations(runs):  # most of the 120 are not their own inverse
        assert numbers(front(order)) == [0, 1, 3]


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        pytest.param([run(0, 0.5, 0.0), run(1, 0.625, -0.25)], [0], id="below zero a gap counts as zero"),
        pytest.param(
            [run(0, 0.5, 0.125), run(1, 0.5, 0.125), run(2, 0.375, 0.25)],
            [2, 0, 1],
            id="alike in both objectives: both",
        ),
        pytest.param([run(0, 0.125, 0.0, feasible=False), run(1, 0.5, 0.5)], [1], id="an infeasible one hides nobody"),
    ],
)
def test_front(runs, expected):
    assert numbers(front(runs)) == expected


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
    one = run(0, 0.625, 0.25)
    assert not clearly_beaten(one, [one, run(1, 0.625, 0.125), run(2, 0.375, 0.25)])
