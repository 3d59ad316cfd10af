"""Axes of losses, gaps and epochs."""

import math

import plotly.graph_objects as go
import pytest
from builders import snapshot, trial

from search.show.axes import (
    MOST_VALUES,
    Axis,
    add_values,
    epoch_axis,
    gap_axis,
    loss_and_gap_axes,
    loss_axis,
    whole_step,
)
from search.stopping.stopped import Stopped


def test_beyond_an_end_is_drawn_at_it():
    axis = Axis(0.1, 2.0)
    assert axis.placed([0.5, 83.0, 0.01, math.inf, math.nan]) == [0.5, 2.0, 0.1, 2.0, None]
    assert [axis.beyond(value) for value in (0.1, 2.0, 2.1, 0.05)] == [False, False, True, True]
    assert Axis().placed([83.0]) == [83.0]


def test_losses_within_a_factor_of_ten_of_the_median_and_the_lowest_have_a_place():
    axis = loss_axis([0.4, 0.5, 0.6, 1e-5, 4.9])
    assert not any(axis.beyond(loss) for loss in (1e-5, 4.9))
    assert loss_axis([0.4, 0.5, 0.6, 83.0]).beyond(83.0)
    assert not loss_axis([0.4, 0.5, 0.6, 83.0], [90.0]).beyond(83.0)  # kept: a linear baseline perhaps
    assert loss_axis([0.4, 0.5, 0.6, math.nan, math.inf, 0.0]) == loss_axis([0.4, 0.5, 0.6])
    assert loss_axis([math.nan, 0.0]).settings == {}


def test_gaps_no_further_from_the_median_one_than_the_median_loss_have_a_place():
    losses = [0.4] * 5
    assert not gap_axis([0.0, 0.01, 0.02, 0.01, 0.4], losses).beyond(0.4)
    assert gap_axis([0.0, 0.01, 0.02, 0.01, 0.5], losses).beyond(0.5)
    assert gap_axis([0.0, 0.01, 0.02, 0.01, -0.5], losses).beyond(-0.5)
    assert gap_axis([0.1], losses).settings["range"][0] < 0.1 < gap_axis([0.1], losses).settings["range"][1]


def test_what_may_be_chosen_the_baseline_and_the_ceiling_have_a_place():
    poor = [trial(n, val=(0.05 + 0.001 * n,), train=(0.05,), feasible=False) for n in range(9)]
    losses, gaps = loss_and_gap_axes(snapshot(*poor, max_gap=6.0), poor)
    assert not losses.beyond(0.7)
    assert not gaps.beyond(6.0)
    may_be_chosen = trial(9, stopped=Stopped.OVERFIT, val=(0.9,), train=(0.1,), feasible=True)
    losses, gaps = loss_and_gap_axes(snapshot(*poor, may_be_chosen), [*poor, may_be_chosen])
    assert not losses.beyond(0.9)
    assert not gaps.beyond(0.8)


@pytest.mark.parametrize(("most", "step"), [(0, 1), (1, 1), (10, 1), (11, 2), (20, 2), (21, 5), (60, 10), (1000, 100)])
def test_whole_steps(most, step):
    assert whole_step(most) == step


def test_one_epoch_has_an_axis_too():
    assert epoch_axis(1)["range"] == [0.75, 1.25]


def test_many_values_are_left_to_the_pointer():
    figure = go.Figure()
    for count in (0, MOST_VALUES, MOST_VALUES + 1):
        add_values(figure, [1.0] * count, [2.0] * count, ["83"] * count, "top center")
    assert [len(trace.text) for trace in figure.data] == [MOST_VALUES]
