"""The graph of validation loss against gap: points, the front, and what may be chosen."""

import pytest
from builders import nothing_to_draw, snapshot, trial

from search.show.loss_against_gap import loss_against_gap
from search.show.trial_groups import MOST_CENSORED
from search.stopping.stopped import Stopped


@pytest.mark.parametrize("empty", nothing_to_draw())
def test_nothing_to_draw(empty):
    assert loss_against_gap(empty) is None


def test_where_runs_may_be_chosen():
    figure = loss_against_gap(snapshot(trial(0), max_gap=0.4))
    region, *_ = figure.layout.shapes
    assert (region.name, region.x1, region.y1) == ("may be chosen", 0.7, 0.4)
    assert region.y0 == figure.layout.yaxis.range[0]


def test_the_front_the_band_and_what_stopped_each_run():
    best = trial(0, val=(0.4,), train=(0.1,), front=True)
    near = trial(1, stopped=Stopped.OVERFIT, val=(0.41,), train=(0.2,), front=True, chosen=True)
    hopeless = trial(2, "PRUNED", Stopped.HOPELESS, val=(1.5,), train=(1.4,))
    figure = loss_against_gap(snapshot(hopeless, near, best, band=(0, 1)))
    traces = {trace.name: trace for trace in figure.data}
    assert tuple(traces["front"].x) == (0.4, 0.41)
    assert tuple(traces["cannot be told from the best"].x) == (0.41, 0.4)
    assert {name: tuple(traces[name].x) for name in ("finished", "overfit", "hopeless")} == {
        "finished": (0.4,),
        "overfit": (0.41,),
        "hopeless": (1.5,),
    }
    band = figure.layout.shapes[-1]
    assert (band.x0, band.x1) == (0.4, 0.41)
    assert figure.layout.annotations[-1].text == "<b>chosen: 1</b>"


def test_a_run_that_diverged_is_at_the_border_with_its_true_figures():
    good = [trial(n, val=(0.4 + 0.02 * n,), train=(0.3,)) for n in range(6)]
    diverged = trial(6, "PRUNED", Stopped.DIVERGED, val=(83.0,), train=(3.0,))
    figure = loss_against_gap(snapshot(*good, diverged))
    traces = {trace.name: trace for trace in figure.data}
    [loss], [gap] = traces["diverged"].x, traces["diverged"].y
    assert 0.9 < loss / 10 ** figure.layout.xaxis.range[1] < 1
    assert 0.9 < gap / figure.layout.yaxis.range[1] < 1
    assert loss < 2
    assert gap < 1
    assert traces["diverged"].customdata[0][3:] == [83.0, 80.0]
    assert [trace.text for trace in figure.data if trace.mode == "text"] == [("loss 83, gap 80   ",)]
    another = trial(7, "PRUNED", Stopped.DIVERGED, val=(40.0,), train=(3.0,))
    figure = loss_against_gap(snapshot(*good, diverged, another))
    assert [trace.text for trace in figure.data if trace.mode == "text"] == [("2 runs, loss 40 to 83   ",)]


def test_of_many_hopeless_runs_the_best():
    many = [
        trial(number, "PRUNED", Stopped.HOPELESS, val=(2 - number / 1000,), train=(1.0,))
        for number in range(MOST_CENSORED + 5)
    ]
    [points] = loss_against_gap(snapshot(*many)).data
    assert len(points.x) == MOST_CENSORED
    assert max(points.x) < 2 - 0.004


def test_names_are_shown_as_they_are():
    figure = loss_against_gap(snapshot(trial(0, "PRUNED", "<b>odd</b>", chosen=True)))
    assert "<b>odd" not in figure.to_json()
