"""How graphs look: markers, text, logarithmic axes, figures of few digits."""

import math

import pytest
from builders import SCRIPT, snapshot, trial

from search.show.learning_curves import learning_curves
from search.show.loss_against_gap import loss_against_gap
from search.show.theme import CHARACTERS, ENDINGS, OTHER, log_axis, log_ticks, marker_of, plain, rounded
from search.stopping.stopped import Stopped


def test_one_colour_and_one_symbol_for_each_way_to_end():
    markers = list(ENDINGS.values())
    assert len({marker.colour for marker in markers}) == len({marker.symbol for marker in markers}) == len(markers)
    overfitted = snapshot(trial(0, stopped=Stopped.OVERFIT))
    in_curves = next(trace for trace in learning_curves(overfitted).data if trace.name == "0: overfit")
    in_points = next(trace for trace in loss_against_gap(overfitted).data if trace.name == "overfit")
    assert in_curves.marker.color == in_points.marker.color
    assert in_curves.marker.symbol[0] == in_points.marker.symbol


def test_every_symbol_of_the_graphs_has_its_character():
    assert {marker.symbol for marker in (*ENDINGS.values(), OTHER)} == CHARACTERS.keys()


def test_errors_have_a_marker_too():
    assert marker_of(Stopped.ERROR) is OTHER


def test_text_is_no_markup():
    assert plain(SCRIPT) == "&lt;script&gt;alert(1)&lt;/script&gt;"


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.28, 2.4, [0.3, 0.5, 0.7, 1, 1.5, 2]),
        (0.0009, 2, [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]),
        (1e-9, 1, [1e-9, 1e-7, 1e-5, 1e-3, 0.1]),
    ],
)
def test_ticks_of_a_logarithmic_axis(low, high, ticks):
    assert log_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize("values", [[0.3], [0.5, 0.5001], [1.0, 1.1]])
def test_a_short_axis_has_ticks_too(values):
    assert len(log_axis(values)["tickvals"]) >= 2


def test_an_axis_is_that_of_what_can_be_drawn():
    assert log_axis([0.3, 0.0, math.nan, math.inf, 2.0]) == log_axis([0.3, 2.0])


def test_figures_have_few_digits_and_are_finite():
    assert rounded([0.123456, 1234.56, math.nan, math.inf]) == [0.1235, 1235.0, None, None]
