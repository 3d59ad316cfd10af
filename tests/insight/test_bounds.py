"""Where good runs pile up at a bound of the space."""

from dataclasses import replace

import pytest
from builders import numbers
from ended_trials import SPACE, ended

from search.choice.fit import Fit
from search.insight.bounds import Bound, good_trials, piled_up
from search.stopping.stopped import Stopped


def test_good_are_the_feasible_results_within_a_tenth_of_the_lowest_loss():
    trials = [
        ended(0, 1.11),
        ended(1, 1.09),
        ended(2, 1.0),
        ended(3, 0.5, fit=Fit.UNDERFIT),
        ended(4, 0.5, pruned=True, stopped=Stopped.HOPELESS),
        replace(ended(5, 1.0), run=None, state="PRUNED"),
    ]
    assert numbers(good_trials(trials)) == [1, 2]
    assert good_trials(trials[3:]) == []


@pytest.mark.parametrize(
    ("widths", "side", "value", "piled"),
    [
        ([60.0, 62.0, 63.0, 20.0, 64.0], "upper", 64, 4),
        ([8.0, 8.5, 8.8, 20.0, 30.0, 64.0], "lower", 8, 3),  # half of them
    ],
)
def test_a_bound_where_good_runs_pile_up_is_named(widths, side, value, piled):
    trials = [ended(number, 1.0 + 0.01 * number, width=width) for number, width in enumerate(widths)]
    assert piled_up(trials) == [Bound("width", side, value, piled, len(widths))]


@pytest.mark.parametrize(
    "params",
    [
        [{"dropout": 0.0}] * 6,  # nothing lies below 0
        [{"augmentation": 1.0}] * 6,  # nor above 1
        [{"kernel_size": 5}] * 6,  # two values: half of all lie at each bound
        [{"norm": "none"}] * 6,  # a category has no bound
        [{"width": 10.0}] * 6,  # a tenth of the way, as the range is a logarithmic one
        [{"width": 8.0}] * 3,  # too few
        [{"width": 8.0}] * 2 + [{"width": 30.0}] * 4,  # a third
    ],
)
def test_no_bound_is_named_without_need(params):
    assert piled_up([ended(number, **changes) for number, changes in enumerate(params)]) == []


def test_bad_runs_at_a_bound_do_not_count():
    good = [ended(number, 1.0, width=20.0) for number in range(4)]
    assert piled_up(good + [ended(number, 1.5, width=64.0) for number in range(4, 12)]) == []


def test_of_a_parameter_that_some_trials_lack_the_others_are_counted():
    trials = [ended(number, width=64.0) for number in range(5)]
    without = {name: known for name, known in SPACE.items() if name != "width"}
    trials += [replace(ended(number), params={"dropout": 0.2}, distributions=without) for number in range(5, 12)]
    assert piled_up(trials) == [Bound("width", "upper", 64, 5, 5)]
