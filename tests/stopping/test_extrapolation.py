"""How learning curves go on, worked by hand."""

import math

import numpy as np
import pytest

from search.stopping.extrapolation import LOWEST, LearningCurves, best_so_far, extrapolated

NAN, INF = math.nan, math.inf


def best(*val, gap=0.0):
    return best_so_far(np.array(val, dtype=float), np.full(len(val), gap), np.isfinite(val))


@pytest.mark.parametrize(
    ("val", "gap", "counts", "losses", "gaps", "epochs"),
    [
        pytest.param([4, 2, 3, 1], [0, 1, 2, 3], [1, 1, 1, 1], [4, 2, 2, 1], [0, 1, 1, 3], [0, 1, 1, 3], id="lowest"),
        pytest.param(
            [4, 2, 3, 1], [0, 1, 2, 3], [0, 0, 1, 0], [INF, INF, 3, 3], [INF, INF, 2, 2], [-1, -1, 2, 2], id="mask"
        ),
        pytest.param([2, 2, 2], [1, 2, 3], [1, 1, 1], [2, 2, 2], [1, 1, 1], [0, 0, 0], id="the first of equals"),
        pytest.param([2, 1], [-1, 1], [1, 1], [2, 1], [0, 1], [0, 1], id="a negative gap is none"),
        pytest.param([1, 0], [0, 0], [1, 1], [1, LOWEST], [0, 0], [0, 1], id="a loss of zero has a logarithm"),
        pytest.param([NAN], [0], [0], [INF], [INF], [-1], id="none"),
    ],
)
def test_the_best_so_far(val, gap, counts, losses, gaps, epochs):
    found = best_so_far(np.array(val, dtype=float), np.array(gap, dtype=float), np.array(counts, dtype=bool))
    assert np.exp(found.log_loss) == pytest.approx(losses)
    assert (found.gap.tolist(), found.epochs.tolist()) == (gaps, epochs)
    assert found.best_epoch == (None if epochs[-1] < 0 else epochs[-1])


@pytest.mark.parametrize(
    ("losses", "total", "expected"),
    [
        pytest.param([9, 4.5, 2.25], 9, 2.25 / 1.5 ** (math.log(4) / math.log(3)), id="slope since epoch 3 // 2"),
        pytest.param([9, 4.5, 2.25], 4, 2.25 / (4 / 3) ** (math.log(4) / math.log(3)), id="to the planned end"),
        pytest.param([9, 4.5, 2.25], 3, 2.25, id="this is the end"),
        pytest.param([9, 4.5, 2.25], 2, 2.25, id="beyond the plan"),
        pytest.param([16, 8, 4, 4], 9, 4 / 1.5, id="halved since epoch 2"),
        pytest.param([9], 9, 9, id="one epoch has no pace"),
        pytest.param([INF, INF, 2], 9, 2, id="nor has the first result"),
    ],
)
def test_a_curve_goes_on_at_its_pace(losses, total, expected):
    assert math.exp(extrapolated(np.log(losses), len(losses), total, 1.5)) == pytest.approx(expected)


def test_the_others_are_all_but_the_run_itself_and_the_forgotten():
    curves = LearningCurves()
    for number, run in enumerate([best(4, 2, gap=0.1), best(8, 3, gap=0.2), best(NAN), best(1, gap=0.4)]):
        curves.put(number, run)
    for number, losses, gaps in [(0, [3, 1], [0.2, 0.4]), (3, [2, 3], [0.1, 0.2]), (99, [2, 3, 1], [0.1, 0.2, 0.4])]:
        log_loss, gap = curves.others(number)
        assert np.exp(log_loss) == pytest.approx(losses)
        assert gap.tolist() == gaps
    curves.forget(1)
    curves.forget(99)
    assert np.exp(curves.others(3)[0]) == pytest.approx([2])


def test_gains_are_of_runs_that_ended_as_planned_or_overfitted():
    curves = LearningCurves()
    for number, run in enumerate([best(8, 4, 2), best(8, 2), best(8, 8), best(9, 9, 1), best(NAN, 1, 1)]):
        curves.put(number, run)
    assert curves.longest() == 0
    curves.end(0, overfitted=False)  # a factor of 4 after the first epoch
    curves.end(1, overfitted=True)  # the same
    curves.end(2, overfitted=False)  # too short
    curves.end(4, overfitted=False)  # nothing yet after the first epoch
    curves.end(99, overfitted=False)  # unknown
    assert curves.longest() == 3
    assert curves.gains(1, 3, 1.0) == pytest.approx(np.log([4, 4]))
    assert curves.gains(2, 3, 1.0) == pytest.approx(np.log([2, 1, 1]))
    assert curves.gains(2, 3, 1.5) == pytest.approx(np.log([2 / 1.5, 1 / 1.5**2, 1]))


def test_there_is_room_for_more_runs_and_longer_ones():
    curves = LearningCurves()
    for number in range(20):
        curves.put(number, best(*range(40, 40 - 2 * number - 1, -1), gap=number))
    log_loss, gap = curves.others(0)
    assert np.exp(log_loss) == pytest.approx([40 - 2 * number for number in range(1, 20)])
    assert gap.tolist() == list(range(1, 20))
