"""The graph of hyperparameter importance."""

from dataclasses import replace

import pytest
from builders import SCRIPT, drawn_trials, nothing_to_draw, snapshot

from search.insight import importance as shares
from search.show.importance import importance, nothing_stands_out


@pytest.mark.parametrize("empty", nothing_to_draw())
def test_nothing_to_draw(empty):
    assert importance(empty) is None


def test_what_drives_loss_and_gap_side_by_side():
    figure = importance(snapshot(*drawn_trials()))
    of_loss, _, of_gap, values = figure.data
    assert of_loss.y == of_gap.y
    shares = [dict(zip(bars.y, bars.x, strict=True)) for bars in (of_loss, of_gap)]
    assert shares[0]["width"] > 0.8
    assert shares[1]["augmentation"] > 0.8
    assert values.text[-1] == f" {of_gap.x[-1]:.0%}"
    highest = figure.data[0].x[-1] + figure.data[0].error_x.array[-1]
    assert highest < figure.layout.xaxis.range[1]
    assert "(30 runs, 90% lines)" in figure.layout.title.text


def test_the_title_counts_the_runs_that_were_sampled(monkeypatch):
    monkeypatch.setattr(shares, "MOST", 10)
    assert "(10 runs, 90% lines)" in importance(snapshot(*drawn_trials(30))).layout.title.text


def test_where_nothing_stands_out_the_runs_are_said_not_to_tell():
    noise = []
    for number, one in enumerate(drawn_trials()):
        loss = 0.5 + 0.01 * (7 * number % 11)
        at_best = replace(one.run.at_best, val_loss=loss, train_loss=loss - one.gap)
        noise.append(replace(one, run=replace(one.run, at_best=at_best)))
    assert importance(snapshot(*noise)).layout.xaxis.title.text == "of the loss: unclear"
    same = [replace(one, run=noise[0].run) for one in noise]
    assert importance(snapshot(*same)) is None
    assert nothing_stands_out(snapshot(*same)).layout.title.text.endswith("these 30 runs do not tell")
    assert nothing_stands_out(snapshot(*same[:7])) is None


def test_names_are_shown_as_they_are():
    figure = importance(snapshot(*drawn_trials(first=SCRIPT)))
    assert "<script>" not in figure.to_json()
