"""What the terminal shows: the count behind it, the plain lines, the live view."""

import io

import pytest
from rich.console import Console

from search.choice.run import Run
from search.show.progress import Tally, duration
from search.show.terminal import LiveProgress, Progress, make_progress, view
from search.training.trial import Outcome


def outcome(number, stopped="finished", epochs=20, best=4):
    curves = ("val_loss", "train_loss", "gap", "val_accuracy")
    return Outcome(number, stopped, history={name: [0.5] * epochs for name in curves}, best_epoch=best)


def run(number, val_loss, gap=0.1, feasible=True):
    return Run(
        number=number, val_loss=val_loss, gap=gap, val_loss_se=0.01, gap_se=0.01, train_loss=0.1, train_accuracy=0.9,
        val_accuracy=0.9, accuracy_gap=0.0, parameters=1234, best_epoch=4, epochs_run=20, stopped="finished",
        fit="good", feasible=feasible,
    )  # fmt: skip


@pytest.fixture
def clock():
    """Seconds, set by hand."""
    return [0.0]


@pytest.fixture
def tally(clock):
    return Tally(planned=10, epochs=20, workers=2, done=2, clock=lambda: clock[0])


def test_time_left_follows_the_pace_of_this_start(tally, clock):
    assert tally.seconds_left() is None
    for number in range(4):
        clock[0] += 10
        tally.end(outcome(number), None)
    assert tally.done == 6
    assert tally.seconds_left() == pytest.approx(40)
    for number in range(4):
        tally.end(outcome(number), None)
    assert tally.seconds_left() is None


def test_stops_and_saved_epochs(tally):
    tally.end(outcome(0, "overfit", epochs=9), None)
    tally.end(outcome(1, "hopeless", epochs=2), None)
    tally.end(outcome(2, "overfit", epochs=12), None)
    tally.end(outcome(3), None)
    assert tally.stops() == "2 overfit, 1 hopeless: 37 epochs saved"


def test_a_cancelled_trial_does_not_count_as_done(tally):
    tally.end(outcome(0, "cancelled", epochs=5), None)
    assert tally.done == 2


def test_the_best_is_feasible(tally):
    tally.end(outcome(0), run(0, 0.3))
    tally.end(outcome(1), run(1, 0.2, feasible=False))
    assert tally.best.number == 0


def test_a_plain_line_for_each_trial_that_ends(tally):
    stream = io.StringIO()
    progress = Progress(tally, stream)
    progress.started(0)
    progress.epoch(0, outcome(0).history)
    progress.tick()
    progress.ended(outcome(0, "overfit", epochs=9), run(0, 0.5))
    progress.ended(Outcome(1, "error", "ValueError: no such layer"), None)
    first, second = stream.getvalue().splitlines()
    assert first.startswith("[ 3/10] trial   0  val_loss 0.5000")
    assert "overfit" in first
    assert "best 0.5000 (gap 0.1000); 1 overfit: 11 epochs saved" in first
    assert "trial   1  error: ValueError: no such layer" in second
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_live_view_fits_its_terminal_and_shows_what_matters(tally, width):
    tally.started(7)
    tally.epoch(7, {"val_loss": [0.9, 0.7, 0.8], "train_loss": [0.9, 0.6, 0.4], "gap": [0.0, 0.1, 0.4]})
    tally.started(8)
    tally.end(outcome(3, "overfit", epochs=9), run(3, 0.5))
    tally.end(Outcome(4, "out_of_memory", "no memory"), None)
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(view(tally, width))
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    for shown in ("4 of 10 trials", "trial 7", "3/20", "0.8000", "trial 3", "trial 4"):
        assert shown in text
    assert "overfit" in text
    if width >= 60:
        assert "0.7000 at 2" in text
        assert "front so far" in text


def test_colours_and_movement_only_on_a_terminal(tally, monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert type(make_progress(tally, io.StringIO())) is Progress

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    progress = make_progress(tally, terminal)
    assert type(progress) is LiveProgress
    with progress:
        progress.started(0)
        progress.tick()
        assert "\x1b[?25l" in terminal.getvalue()  # the cursor is hidden
    assert "\x1b[?25h" in terminal.getvalue()  # and given back


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0s"), (75, "1m15s"), (59.6, "1m00s"), (3725, "1h02m")])
def test_durations(seconds, text):
    assert duration(seconds) == text
