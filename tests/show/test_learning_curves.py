"""The graph of learning curves: whose curves it draws, and what it marks on them."""

import math

import pytest
from builders import nothing_to_draw, snapshot, trial

from search.show.axes import loss_axis
from search.show.learning_curves import MOST_POINTS, _labels, learning_curves, runs_that_matter, thinned
from search.stopping.stopped import Stopped

NAN = math.nan


def marks(figure):
    return {trace.name: trace for trace in figure.data if trace.mode == "markers"}


@pytest.mark.parametrize("empty", nothing_to_draw())
def test_nothing_to_draw(empty):
    assert learning_curves(empty) is None


def test_a_search_that_has_only_begun_has_curves():
    figure = learning_curves(snapshot(trial(0, "RUNNING", None)))
    assert [trace.name for trace in figure.data if trace.showlegend is None] == ["0: running"]


def test_they_mark_the_best_epoch_and_the_end():
    chosen = trial(3, stopped=Stopped.OVERFIT, val=(0.9, 0.5, 0.6), train=(0.8, 0.4, 0.2), chosen=True)
    figure = learning_curves(snapshot(chosen))
    training, validation = figure.data[:2]
    assert (training.line.dash, validation.line.dash) == ("dot", "solid")
    assert (tuple(validation.x), tuple(validation.y)) == ((1, 2, 3), (0.9, 0.5, 0.6))
    mark = marks(figure)["3, chosen: overfit"]
    assert list(zip(mark.x, mark.y, mark.marker.symbol, strict=True)) == [(3, 0.6, "diamond"), (2, 0.5, "star")]
    [labels] = [trace for trace in figure.data if trace.mode == "text"]
    assert [text.strip() for text in labels.text] == ["3", "3"]


def test_of_the_runs_that_matter_and_few_of_the_stopped():
    hopeless = [
        trial(number, "PRUNED", Stopped.HOPELESS, val=(1.0 + number, 0.9 + number), train=(0.8, 0.4))
        for number in range(5)
    ]
    drawn = runs_that_matter(
        snapshot(
            *hopeless,
            trial(9, "FAIL", None),
            trial(5, chosen=True, front=True),
            trial(6, front=True),
            trial(7, "RUNNING", None),
            trial(8, "PRUNED", Stopped.OVERFIT),
        )
    )
    assert [one.number for one in drawn] == [5, 6, 7, 8, 0]


def test_they_leave_gaps_where_a_loss_is_not_finite():
    diverged = trial(0, "PRUNED", Stopped.DIVERGED, val=(0.9, NAN, math.inf), train=(0.8, NAN, 0.0))
    assert tuple(learning_curves(snapshot(diverged)).data[1].y) == (0.9, None, None)
    nothing = trial(0, "PRUNED", Stopped.DIVERGED, val=(NAN, NAN), train=(NAN, NAN))
    assert learning_curves(snapshot(nothing)) is None


def test_labels_too_near_each_other_are_one():
    one = trial(0, val=(0.9, 0.5), train=(0.8, 0.2))
    other = trial(1, val=(0.9, 0.501), train=(0.8, 0.1))
    labels = _labels([one, other], loss_axis([0.1, 0.9]))
    assert [(epoch, text) for epoch, _, text in labels] == [(2, "1"), (2, "0"), (2, "0 1")]
    assert [loss for _, loss, _ in labels] == pytest.approx([0.1, 0.2, 0.5005], abs=1e-4)


def test_a_run_that_diverged_ends_at_the_border_and_squashes_nothing():
    good = [trial(n, val=(0.9, 0.6, 0.5), train=(0.8, 0.4, 0.2)) for n in range(4)]
    diverged = trial(4, "PRUNED", Stopped.DIVERGED, val=(0.9, 83.0), train=(0.8, 90.0))
    figure = learning_curves(snapshot(*good, diverged))
    highest = 10 ** figure.layout.yaxis.range[1]
    assert highest < 2
    end, _ = zip(marks(figure)["4: diverged"].y, marks(figure)["4: diverged"].customdata, strict=True)
    assert 0.9 < end[0] / highest < 1
    assert end[1] == 83.0


def test_ticks_are_whole_epochs():
    short, long = (
        learning_curves(snapshot(trial(0, val=[0.5] * epochs, train=[0.4] * epochs))).layout.xaxis for epochs in (2, 60)
    )
    assert (short.dtick, long.dtick) == (1, 10)
    assert short.range[0] > 0
    assert short.range[1] < 3


@pytest.mark.parametrize(
    ("length", "keep", "most", "kept"),
    [
        (3, [], 50, [0, 1, 2]),
        (10, [3], 5, [0, 2, 3, 4, 6, 8, 9]),
        (1000, [], 4, [0, 250, 500, 750, 999]),
    ],
)
def test_thinned_curves_keep_their_ends(length, keep, most, kept):
    assert thinned([0.0] * length, keep, most) == kept


def test_long_curves_are_thinned():
    losses = [1 / (1 + epoch) for epoch in range(400)]
    figure = learning_curves(snapshot(trial(0, val=losses, train=losses)))
    assert all(len(trace.x) <= MOST_POINTS + 2 for trace in figure.data)


def test_names_are_shown_as_they_are():
    figure = learning_curves(snapshot(trial(0, "PRUNED", "<b>odd</b>", chosen=True)))
    assert "<b>odd" not in figure.to_json()
