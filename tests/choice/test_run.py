"""The best epoch of a run, and the run as it is there."""

import math

import pytest
from builders import exact_run, history, measurement

from search.choice.constraints import Constraints
from search.choice.fit import Fit
from search.choice.run import best_epoch, last_gain, run_at_best

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("val_loss", "gap", "constraints", "expected"),
    [
        ([0.9, 0.5, 0.6], [0.0, 0.2, 0.3], Constraints(1.0), 1),
        ([0.9, 0.5, 0.6], [0.0, 0.2, 0.1], Constraints(1.0, max_gap=0.1), 2),
        ([0.9, 0.5, 0.6], [0.1, 0.2, 0.3], Constraints(1.0, max_gap=0.1), 0),
        ([0.9, 0.5, 0.6], [0.1, 0.2, 0.3], Constraints(0.8, max_gap=0.1), 1),
        ([0.9, 0.7, 0.6], [0.1, 0.1, 0.3], Constraints(0.7, max_gap=0.1), 1),
        ([0.9, 0.5, 0.5], [0.1, 0.2, 0.1], Constraints(1.0), 1),
        ([0.9, NAN, 0.6, INF], [0.1, NAN, 0.3, INF], Constraints(1.0), 2),
        ([0.9, -INF, 0.6], [0.1, -INF, 0.3], Constraints(1.0), 2),
        ([0.9, 0.1, 0.2], [0.1, NAN, -INF], Constraints(1.0), 0),
        ([NAN, 0.9], [0.1, 0.2], Constraints(0.5), 1),
        ([NAN, INF], [NAN, INF], Constraints(1.0), None),
        ([], [], Constraints(1.0), None),
    ],
)
def test_the_best_epoch_has_the_lowest_loss_of_those_that_meet_the_constraints(val_loss, gap, constraints, expected):
    assert best_epoch(val_loss, gap, constraints) == expected


def test_a_run_is_judged_at_its_best_epoch():
    curves = history([0.9, 0.5, 0.625], [0.875, 0.375, 0.25], train_accuracy=[0.5, 0.75, 1.0], val_accuracy=0.7)
    run = run_at_best(3, curves, Constraints(0.75), parameters=10)
    assert (run.number, run.best_epoch, run.parameters, run.feasible) == (3, 1, 10, True)
    assert run.at_best == measurement(0.5, 0.125, train_accuracy=0.75, val_accuracy=0.7)
    assert run.fit == Fit.PARTIAL_OVERFIT
    assert run.objectives == (0.5, 0.125)


@pytest.mark.parametrize(
    ("constraints", "best", "feasible", "fit"),
    [
        (Constraints(0.95, max_gap=0.0625), 0, True, Fit.GOOD),  # epoch 0 alone keeps to the ceiling
        (Constraints(0.75, max_gap=0.0625), 1, False, Fit.GOOD),  # and does not beat this baseline
        (Constraints(0.5), 1, True, Fit.UNDERFIT),  # as good as the baseline: it may be chosen, and has learned nothing
        (Constraints(0.25), 1, False, Fit.UNDERFIT),
    ],
)
def test_what_a_run_must_respect_decides_where_it_is_judged_and_whether_it_may_be_chosen(
    constraints, best, feasible, fit
):
    run = run_at_best(0, history([0.9, 0.5, 0.625], [0.875, 0.375, 0.25], gap_se=0.0625), constraints)
    assert (run.best_epoch, run.feasible, run.fit) == (best, feasible, fit)


@pytest.mark.parametrize("curves", [{}, history([], []), history([NAN, INF], [0.5, 0.5])])
def test_a_run_that_never_had_a_finite_loss_is_none(curves):
    assert run_at_best(0, curves, Constraints(1.0)) is None


def test_a_negative_gap_is_no_better_than_none():
    assert exact_run(0, 0.5, -0.25).objectives == (0.5, 0.0)


@pytest.mark.parametrize(
    ("losses", "best", "gain"),
    [
        ([0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.6], 7, 0.25),  # against two epochs before
        ([0.8, 0.4], 1, 0.5),  # the last quarter has one epoch at least
        ([0.8, 0.4, 0.5], 1, 0.0),  # it has turned
        ([0.2, 0.8, 0.6], 2, 0.25),  # the first did not respect the ceiling for the gap
        ([0.4, 0.8, 0.2, 0.6], 3, -2.0),  # nor here the one before
        ([0.8], 0, 0.0),
        ([NAN, 0.4], 1, 0.0),
        ([], None, 0.0),
    ],
)
def test_the_last_gain(losses, best, gain):
    assert last_gain(losses, best) == pytest.approx(gain)
