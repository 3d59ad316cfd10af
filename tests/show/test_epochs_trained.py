"""The graph of epochs trained and saved."""

import pytest
from builders import nothing_to_draw, snapshot, trial

from search.show.epochs_trained import epochs_trained
from search.stopping.stopped import Stopped


@pytest.mark.parametrize("empty", nothing_to_draw())
def test_nothing_to_draw(empty):
    assert epochs_trained(empty) is None


def test_epochs_trained_and_saved_by_what_ended_the_runs():
    figure = epochs_trained(
        snapshot(
            trial(0),  # 3 of 10, which an earlier start asked for
            trial(1, "PRUNED", Stopped.HOPELESS, val=(1.0,), train=(1.0,)),
            trial(2, "PRUNED", Stopped.HOPELESS, val=(1.0, 1.0), train=(1.0, 1.0)),
            trial(3, "RUNNING", None),
        )
    )
    trained, saved = figure.data
    rows = {row: (a, b) for row, a, b in zip(trained.y, trained.x, saved.x, strict=True)}
    assert rows == {
        "<b>1 finished</b><br>3 trained": (3, 0),
        "<b>2 hopeless</b><br>3 trained, 17 saved": (3, 17),
    }
    assert figure.layout.title.text == "6 of 23 epochs trained, 74% saved"


def test_names_are_shown_as_they_are():
    figure = epochs_trained(snapshot(trial(0, "PRUNED", "<b>odd</b>", chosen=True)))
    assert "<b>odd" not in figure.to_json()
