"""A real search on digits is killed, interrupted, locked out: nothing is lost, and it ends where it would have."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import optuna
import pytest
from builders import ROOT

from studies.benchmarks.faults import checks
from studies.benchmarks.faults.kinds import KINDS
from studies.benchmarks.faults.searches import Size

optuna.logging.set_verbosity(optuna.logging.WARNING)
SIZE = Size(trials=6, epochs=4)
SMALL = ("--train-size", "200", "--val-size", "100", "--epochs", "4", "--trials", "12")


def start(folder, *flags):
    command = [sys.executable, ROOT / "studies" / "digits.py", *SMALL, "--out", folder, *flags]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, env=environment,
        preexec_fn=heed_signals,
    )  # fmt: skip


def heed_signals():
    """As a terminal starts programs; whoever runs the tests may ignore signals, as nohup does."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def study_of(folder):
    return optuna.load_study(study_name="digits", storage=f"sqlite:///{folder / 'study.db'}")


def ended(folder):
    with contextlib.suppress(Exception):  # there is none yet
        return sum(trial.state.is_finished() for trial in study_of(folder).trials)
    return 0


def wait_until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("that did not happen in time")


def results(folder):
    """What came of each configuration, whatever the numbers of its trials are."""
    return sorted(
        (trial.user_attrs["lineage"], trial.state.name, trial.user_attrs["stopped"], tuple(trial.params.items()),
         trial.user_attrs.get("val_loss"))
        for trial in study_of(folder).trials
        if trial.state.name in ("COMPLETE", "PRUNED")
    )  # fmt: skip


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """A function that runs one search of the benchmark, a short one, with faults of a kind; returns what was found."""
    place = tmp_path_factory.mktemp("campaign")
    expected = checks.undisturbed(SIZE, place / "undisturbed", place / "cache")
    assert len(expected) == SIZE.trials

    def run(kind, seed, faults):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(KINDS, kind, replace(KINDS[kind], size=SIZE, times=faults))
            return checks.search_with_faults(kind, seed, place / kind, place / "cache", expected)

    return run


@pytest.mark.parametrize(
    ("kind", "seed", "faults", "compared"),
    [("kill-group", 1, 1, 1), ("kill-worker", 4, 2, 0), ("SIGTERM", 0, 1, 1)],  # one worker, two, one
)
def test_nothing_is_lost_by_faults_at_random_moments(campaign, kind, seed, faults, compared):
    found = campaign(kind, seed, faults)
    assert not found.bad, found
    assert found.faults > 0
    assert found.compared == compared


def test_ctrl_c_ends_a_search_within_seconds_while_another_process_holds_its_database(tmp_path):
    folder = tmp_path / "run"
    process = start(folder, "--workers", "2", "--trials", "40")
    wait_until(lambda: ended(folder) >= 2)
    with contextlib.closing(sqlite3.connect(folder / "study.db", timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        time.sleep(1.0)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(30)
        took = time.monotonic() - began
        other.execute("ROLLBACK")
    assert process.returncode == 130
    assert took < 6.0  # five, and what a busy machine adds
    done = results(folder)
    again = start(folder, "--workers", "2", "--trials", str(len(done) + 3))
    assert again.wait(180) == 0
    assert set(done) <= set(results(folder))


def test_a_hang_up_of_the_terminal_keeps_everything(tmp_path):
    folder = tmp_path / "run"
    process = start(folder, "--workers", "2", "--trials", "40")
    wait_until(lambda: ended(folder) >= 2)
    process.send_signal(signal.SIGHUP)
    assert process.wait(30) == 128 + signal.SIGHUP
    assert not [trial for trial in study_of(folder).trials if trial.state.name == "RUNNING"]
