"""Hyperparameters as axes."""

import math

import pytest
from builders import SCRIPT, snapshot, trial
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search.show.parameter_plot import TICKS, ended_with, parameter_axis, parameters, positions


def test_an_axis_reaches_beyond_both_bounds():
    linear = parameter_axis(FloatDistribution(0.0, 0.5))
    assert linear["range"] == pytest.approx([-0.02, 0.52])
    low, high = parameter_axis(FloatDistribution(1e-4, 1e-1, log=True))["range"]
    assert low < math.log10(1e-4)
    assert high > math.log10(1e-1)


@pytest.mark.parametrize(
    ("distribution", "dtick"),
    [(IntDistribution(2, 4), 1), (IntDistribution(0, 100), 20), (IntDistribution(1, 9, step=2), 2)],
)
def test_whole_numbers_have_ticks_at_their_steps(distribution, dtick):
    axis = parameter_axis(distribution)
    assert (axis["tick0"], axis["dtick"]) == (distribution.low, dtick)
    assert (distribution.high - distribution.low) / dtick <= TICKS


def test_long_names_of_categories_are_cut_and_none_is_markup():
    axis = parameter_axis(CategoricalDistribution(["batch", SCRIPT]))
    assert axis["ticktext"] == ["batch", "&lt;script&gt;ale…"]
    assert axis["categoryarray"] == ["batch", "&lt;script&gt;alert(1)&lt;/script&gt;"]


def test_parameters_are_those_that_differ():
    distributions = {"width": IntDistribution(8, 64), "depth": IntDistribution(2, 4), "late": FloatDistribution(0, 1)}
    trials = [
        trial(0, params={"width": 8, "depth": 2}, distributions=distributions),
        trial(1, params={"width": 16, "depth": 2, "late": 0.5}, distributions=distributions),
        trial(2, "RUNNING", None, params={"width": 8, "depth": 3}, distributions=distributions),
    ]
    searched = snapshot(*trials)
    assert parameters(searched) == {"width": distributions["width"]}
    assert [one.number for one in ended_with(searched, ["width"])] == [0, 1]
    assert [one.number for one in ended_with(searched, ["width", "late"])] == [1]
    assert positions(trials[:2], "width", distributions["width"]) == [8.0, 16.0]
