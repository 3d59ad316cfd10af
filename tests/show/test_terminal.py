"""What the terminal shows: the plain lines, the live view."""

import io
import sys

import pytest
from builders import trial
from rich.console import Console

from search.show.progress import Progress
from search.show.terminal import LiveTerminal, Terminal, make_terminal, view
from search.stopping.stopped import Stopped


def overfit(number, loss=0.5):
    return trial(number, "COMPLETE", Stopped.OVERFIT, val=[loss] * 9, train=[loss - 0.1] * 9)


def shown(progress, width):
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(view(progress, width))
    return console.file.getvalue()


@pytest.fixture
def progress():
    return Progress(planned=10, epochs=20, workers=2, done=2, clock=lambda: 0.0)


def test_a_plain_line_for_each_trial_that_ends(progress, caplog):
    caplog.set_level("INFO", "search")
    terminal = Terminal(progress)
    terminal.started(0)
    terminal.epoch(0, trial(0).history)
    terminal.tick()
    terminal.ended(overfit(0))
    terminal.ended(trial(1, "PRUNED", Stopped.ERROR, val=(), train=(), reason="ValueError: no such layer"))
    first, second = caplog.messages
    assert first.startswith("[ 3/10] trial   0  val_loss 0.5000")
    assert "overfit" in first
    assert "best 0.5000 (gap 0.1000); 1 overfit: 11 epochs saved" in first
    assert "trial   1  error: ValueError: no such layer" in second
    assert "\x1b" not in first + second


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_live_view_fits_its_terminal_and_shows_what_matters(progress, width):
    progress.started(7)
    progress.epoch(7, {"val_loss": [0.9, 0.7, 0.8], "train_loss": [0.9, 0.6, 0.4], "gap": [0.0, 0.1, 0.4]})
    progress.started(8)
    progress.end(overfit(3))
    progress.end(trial(4, "PRUNED", Stopped.OUT_OF_MEMORY, val=(), train=(), reason="no memory"))
    text = shown(progress, width)
    assert max(map(len, text.splitlines())) <= width
    for part in ("4 of 10 trials", "trial 7", "3/20", "0.8000", "trial 3", "trial 4", "trial 8", "0/20"):
        assert part in text
    assert "overfit" in text
    if width >= 60:
        assert "0.7000 at 2" in text
        assert "front so far" in text


@pytest.mark.parametrize(
    ("width", "seen", "left_out"),
    [
        (59, [], ["best epoch", "accuracy", "parameters"]),
        (60, ["best epoch"], ["accuracy", "parameters"]),
        (100, ["best epoch", "accuracy", "parameters"], []),
    ],
)
def test_a_narrow_view_leaves_columns_out(progress, width, seen, left_out):
    progress.end(overfit(3))
    text = shown(progress, width)
    assert all(title in text for title in seen)
    assert not any(title in text for title in left_out)


def test_balanced_accuracy_among_the_ended_and_on_the_front(progress):
    progress.end(trial(3, val_balanced_accuracy=0.613))
    assert shown(progress, 100).count("61.3%") == 2
    assert "balanced" not in shown(progress, 99)


def test_colours_and_movement_only_on_a_terminal(progress, monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert type(make_terminal(progress)) is Terminal
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert type(make_terminal(progress)) is Terminal
    monkeypatch.delenv("FORCE_COLOR")

    class Screen(io.StringIO):
        def isatty(self):
            return True

    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "dumb")
    assert type(make_terminal(progress)) is Terminal
    monkeypatch.setenv("TERM", "xterm")
    terminal = make_terminal(progress)
    assert type(terminal) is LiveTerminal
    with terminal:
        terminal.started(0)
        terminal.tick()
        assert "\x1b[?25l" in screen.getvalue()  # the cursor is hidden
    assert "\x1b[?25h" in screen.getvalue()  # and given back
