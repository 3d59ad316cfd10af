"""Graphs: what they draw of hand-made searches."""

import math

import pytest
from builders import SCRIPT, finished_trials, story, trial

from search.show.epochs import epochs_spent
from search.show.importance import drivers
from search.show.learning_curves import MOST_POINTS, _labels, curves, runs_that_matter, thinned
from search.show.loss_against_gap import loss_against_gap
from search.show.theme import STOPPED, log_axis, log_ticks, plain

NAN = math.nan


def marks(figure):
    return {trace.name: trace for trace in figure.data if trace.mode and "markers" in trace.mode}


@pytest.mark.parametrize("draw", [curves, loss_against_gap, drivers, epochs_spent])
@pytest.mark.parametrize(
    "trials",
    [
        [],
        [trial(0, "RUNNING", None, val=(), train=())],
        [trial(0, "FAIL", None)],
    ],
)
def test_nothing_to_draw(draw, trials):
    if draw is curves and trials and trials[0].state == "RUNNING":
        assert draw(story(*trials)) is None
    assert draw(story(*trials)) is None


def test_a_search_that_has_only_begun_has_curves():
    figure = curves(story(trial(0, "RUNNING", None)))
    assert [trace.name for trace in figure.data if trace.showlegend is None] == ["0: running"]


def test_curves_mark_the_best_epoch_and_the_end():
    figure = curves(story(trial(3, stopped="overfit", val=(0.9, 0.5, 0.6), train=(0.8, 0.4, 0.2), chosen=True)))
    training, validation = figure.data[:2]
    assert (training.line.dash, validation.line.dash) == ("dot", "solid")
    assert (tuple(validation.x), tuple(validation.y)) == ((1, 2, 3), (0.9, 0.5, 0.6))
    mark = marks(figure)["3, chosen: overfit"]
    assert list(zip(mark.x, mark.y, mark.marker.symbol, strict=True)) == [(3, 0.6, "diamond"), (2, 0.5, "star")]
    [labels] = [trace for trace in figure.data if trace.mode == "text"]
    assert [text.strip() for text in labels.text] == ["3", "3"]


def test_curves_of_the_runs_that_matter_and_few_of_the_stopped():
    hopeless = [trial(number, "PRUNED", "hopeless", val=(1.0 + number, 0.9 + number)) for number in range(5)]
    failed = trial(9, "FAIL", None)
    drawn = runs_that_matter(
        story(
            *hopeless,
            failed,
            trial(5, chosen=True, front=True),
            trial(6, front=True),
            trial(7, "RUNNING", None),
            trial(8, "PRUNED", "overfit"),
        )
    )
    assert [one.number for one in drawn] == [5, 6, 7, 8, 0]


def test_curves_leave_gaps_where_a_loss_is_not_finite():
    figure = curves(story(trial(0, "PRUNED", "diverged", val=(0.9, NAN, math.inf), train=(0.8, NAN, 0.0))))
    assert tuple(figure.data[1].y) == (0.9, None, None)
    assert curves(story(trial(0, "PRUNED", "diverged", val=(NAN, NAN), train=(NAN, NAN)))) is None


def test_labels_too_near_each_other_are_one():
    one = trial(0, val=(0.9, 0.5), train=(0.8, 0.2))
    other = trial(1, val=(0.9, 0.501), train=(0.8, 0.1))
    labels = _labels([one, other], apart=0.05)
    assert [(epochs, text) for epochs, _, text in labels] == [(2, "1"), (2, "0"), (2, "0 1")]
    assert [loss for _, loss, _ in labels] == pytest.approx([0.1, 0.2, 0.5005], abs=1e-4)


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
    figure = curves(story(trial(0, val=losses, train=losses)))
    assert all(len(trace.x) <= MOST_POINTS + 2 for trace in figure.data)


def test_where_runs_may_be_chosen():
    figure = loss_against_gap(story(trial(0), max_gap=0.4))
    region, *_ = figure.layout.shapes
    assert (region.name, region.x1, region.y0, region.y1) == ("may be chosen", 0.7, 0.0, 0.4)


def test_the_front_the_band_and_what_stopped_each_run():
    best = trial(0, val=(0.4,), train=(0.1,), front=True)
    near = trial(1, stopped="overfit", val=(0.41,), train=(0.2,), front=True, chosen=True)
    hopeless = trial(2, "PRUNED", "hopeless", val=(1.5,), train=(1.4,))
    figure = loss_against_gap(story(hopeless, near, best, band=(0, 1)))
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


def test_one_colour_and_one_symbol_for_each_way_to_end():
    looks = list(STOPPED.values())
    assert len({look.colour for look in looks}) == len({look.symbol for look in looks}) == len(looks)
    study = story(trial(0, stopped="overfit"))
    in_curves, in_points = marks(curves(study))["0: overfit"], marks(loss_against_gap(study))["overfit"]
    assert in_curves.marker.color == in_points.marker.color
    assert in_curves.marker.symbol[0] == in_points.marker.symbol


def test_epochs_spent_and_saved():
    ended = [
        trial(0),  # 3 of 10
        trial(1, "PRUNED", "hopeless", val=(1.0,), train=(1.0,)),
        trial(2, "PRUNED", "hopeless", val=(1.0, 1.0), train=(1.0, 1.0)),
        trial(3, "RUNNING", None),
    ]
    trained, saved = epochs_spent(story(*ended)).data
    rows = {row: (a, b) for row, a, b in zip(trained.y, trained.x, saved.x, strict=True)}
    assert rows == {
        "<b>1 finished</b><br>3 trained<br>7 saved": (3, 7),
        "<b>2 hopeless</b><br>3 trained<br>17 saved": (3, 17),
    }
    assert epochs_spent(story(*ended)).layout.title.text == "6 of 30 epochs trained, 80% saved"


def test_what_drives_loss_and_gap_side_by_side():
    of_loss, of_gap = drivers(story(finished=finished_trials())).data
    assert of_loss.y == of_gap.y
    shares = [dict(zip(bars.y, bars.x, strict=True)) for bars in (of_loss, of_gap)]
    assert shares[0]["width"] > 0.8
    assert shares[1]["augmentation"] > 0.8


def test_names_are_shown_as_they_are():
    named = drivers(story(finished=finished_trials(first=SCRIPT)))
    odd = story(trial(0, "PRUNED", "<b>odd</b>", chosen=True))
    for figure in (named, curves(odd), loss_against_gap(odd), epochs_spent(odd)):
        assert "<script>" not in figure.to_json()
        assert "<b>odd" not in figure.to_json()
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
