"""A tracker in its thread: it passes on what the search tells, and its failures stay its own."""

import threading
import time

import pytest
from builders import trial

from search.errors import UserError
from search.recording.trackers import require_packages
from search.settings import Settings
from search.show.progress import Progress
from search.stopping.stopped import Stopped
from search.tracking import tracker as module
from search.tracking.figures import at_best, points
from search.tracking.tracker import Tracker


class Sink:
    """Notes what it is told; fails at `fails`; waits for `gate` before anything."""

    def __init__(self, fails=None, gate=None):
        self.told, self.threads, self._fails, self._gate = [], set(), fails, gate

    def _note(self, *said):
        if self._gate is not None:
            self._gate.wait()
        self.threads.add(threading.current_thread())
        self.told.append(said)
        if said[0] == self._fails:
            raise ValueError("cannot reach http://me:secret@host\nand more")

    def begin(self, ended):
        self._note("begin", [trial.number for trial in ended])

    def epoch(self, number, history):
        self._note("epoch", number, len(history["val_loss"]))

    def forget(self, number):
        self._note("forget", number)

    def ended(self, trial):
        self._note("ended", trial.number)

    def close(self):
        self._note("close")


def test_it_is_told_what_the_live_view_is_told_in_a_thread_of_its_own():
    sink = Sink()
    tracker = Tracker("--tool", sink)
    tracker.begin([trial(7)])
    progress = Progress(4, 3, 1, observers=[tracker])
    progress.started(0)
    progress.epoch(0, trial(0).history)
    progress.epoch(0, trial(0).history, repeat=1)  # of the race
    progress.drop(0, repeat=1)
    progress.end(trial(0))
    progress.started(1)
    progress.drop(1)
    progress.end(trial(2, "FAIL", Stopped.CANCELLED))
    progress.end(trial(3, continues=0))
    tracker.close()
    assert sink.told == [
        ("begin", [7]), ("epoch", 0, 3), ("ended", 0), ("forget", 1), ("forget", 2), ("ended", 3), ("forget", 0),
        ("close",),
    ]  # fmt: skip
    assert threading.main_thread() not in sink.threads


@pytest.mark.parametrize("fails", ["begin", "epoch", "ended", "close"])
def test_a_failure_is_one_line_and_the_search_goes_on(fails, said):
    sink = Sink(fails)
    tracker = Tracker("--tool", sink, lambda text: text.replace("secret", "***"))
    tracker.begin([])
    for number in range(3):
        tracker.epoch(number, trial(0).history)
        tracker.ended(trial(number))
    tracker.close()
    lines = said().splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("--tool: ValueError: cannot reach http://me:***@host; the search goes on without it")
    assert [word for word, *_ in sink.told].count(fails) == 1
    assert sink.told[-1][0] == fails  # nothing after it


def test_one_that_hangs_holds_up_nothing(monkeypatch, said):
    monkeypatch.setattr(module, "BEGIN_SECONDS", 0.05)
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    gate = threading.Event()
    tracker = Tracker("--tool", Sink(gate=gate))
    started = time.monotonic()
    tracker.begin([])
    tracker.epoch(0, trial(0).history)
    tracker.close()
    assert time.monotonic() - started < 5
    assert "--tool: it took more than 0 s to write what was left; the search goes on without it" in said()
    gate.set()


def test_points_of_curves():
    history = {"val_loss": [3.0, 2.0], "train_loss": [2.0, 1.0], "val_rise_z": [0.0, 0.0]}
    assert points(history, 0) == [{"val_loss": 3.0, "train_loss": 2.0}, {"val_loss": 2.0, "train_loss": 1.0}]
    assert points(history, 1) == [{"val_loss": 2.0, "train_loss": 1.0}]
    assert points(history, 2) == points({}, 0) == []


def test_figures_at_the_best_epoch():
    assert at_best(trial(0, val=(0.9, 0.5, 0.6), train=(0.8, 0.4, 0.2))) == {
        "best_val_loss": 0.5, "best_train_loss": 0.4, "best_gap": pytest.approx(0.1), "best_val_accuracy": 0.875,
        "best_train_accuracy": 0.9, "best_epoch": 2.0,
    }  # fmt: skip
    assert at_best(trial(0, "FAIL", Stopped.ERROR, val=(), train=())) == {}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"tensorboard": True},
            r"--tensorboard needs the package tensorboard; install it with pip install 'gapsearch\[t",
        ),
        (
            {"mlflow": "sqlite:///runs.db"},
            r"--mlflow needs the package mlflow; install it with pip install 'gapsearch\[m",
        ),
    ],
)
def test_a_missing_package_is_named_with_the_remedy(monkeypatch, asked, said):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    require_packages(Settings("s", "digits"))
    with pytest.raises(UserError, match=said):
        require_packages(Settings("s", "digits", **asked))
