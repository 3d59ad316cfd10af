"""Seed noise: what is repeated, what it may cost, and what comes of it."""

import math

import pytest
from builders import exact_run, numbers

from search.choice.seed_noise import Repeat, plan_repeats, seed_std

# trial 4 is far above the others, 5 infeasible: the top three are 0, 1 and 2, to their epochs 10, 5 and 5
RUNS = [
    exact_run(number, loss, feasible=number != 5, best_epoch=best)
    for number, loss, best in ((0, 1.0, 9), (1, 1.01, 4), (2, 1.02, 4), (3, 1.03, 4), (4, 2.0, 4), (5, 0.5, 4))
]


def done(*numbers):
    return [Repeat(number, seed, 1.0, 0.1, 10 if number == 0 else 5) for seed, number in enumerate(numbers)]


@pytest.mark.parametrize(
    ("runs", "before", "trained", "expected"),
    [
        (RUNS, (), 267, [0, 1, 2, 0, 1, 2]),  # a round costs 20 epochs; 15% of 267 are 40.05
        (RUNS, (), 266, [0, 1, 2]),
        (RUNS, (), 134, [0, 1, 2]),
        (RUNS, (), 133, []),
        (RUNS, (0, 1, 2), 267, [0, 1, 2]),  # an earlier start's repeats count, as repeats and as cost
        (RUNS, (0, 1, 2), 266, []),
        (RUNS, (0, 0, 1, 1, 2, 2), 9999, []),
        (RUNS, (3, 3), 9999, [0, 1, 2, 0, 1, 2]),  # of a run that has left the top
        (RUNS[:2], (), 9999, []),  # too few to speak of a top
        ([], (), 9999, []),
    ],
)
def test_what_is_repeated(runs, before, trained, expected):
    assert numbers(plan_repeats(runs, done(*before), trained)) == expected


def test_the_standard_deviation_by_hand():
    repeats = [Repeat(0, 1, 1.2, 0, 1), Repeat(0, 2, 1.1, 0, 1), Repeat(1, 3, 1.05, 0, 1)]
    # trial 0: 1.0, 1.2, 1.1 -> squares 0.02, 2 degrees of freedom; trial 1: 1.01, 1.05 -> 0.0008, 1 degree
    assert seed_std(RUNS, repeats) == pytest.approx(math.sqrt(0.0208 / 3))


def test_without_a_repeat_nothing_is_known():
    assert seed_std(RUNS, []) is None
    assert seed_std(RUNS, [Repeat(0, 1, math.nan, 0, 1)]) is None
    assert seed_std(RUNS, [Repeat(99, 1, 1.0, 0, 1)]) is None
