"""The graph of hyperparameter importance."""

import pytest
from builders import SCRIPT, drawn_trials, nothing_to_draw, snapshot

from search.insight import importance as shares
from search.show.importance import importance


@pytest.mark.parametrize("empty", nothing_to_draw())
def test_nothing_to_draw(empty):
    assert importance(empty) is None


def test_what_drives_loss_and_gap_side_by_side():
    figure = importance(snapshot(*drawn_trials()))
    of_loss, of_gap = figure.data
    assert of_loss.y == of_gap.y
    shares = [dict(zip(bars.y, bars.x, strict=True)) for bars in (of_loss, of_gap)]
    assert shares[0]["width"] > 0.8
    assert shares[1]["augmentation"] > 0.8
    assert "fANOVA, 30 runs" in figure.layout.title.text


def test_the_title_counts_the_runs_that_were_sampled(monkeypatch):
    monkeypatch.setattr(shares, "MOST", 10)
    assert "fANOVA, 10 runs" in importance(snapshot(*drawn_trials(30))).layout.title.text


def test_names_are_shown_as_they_are():
    figure = importance(snapshot(*drawn_trials(first=SCRIPT)))
    assert "<script>" not in figure.to_json()
