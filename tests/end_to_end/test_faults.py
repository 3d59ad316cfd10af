"""A real search on digits is killed, interrupted, locked out; nothing is lost, and it ends where it would have."""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter

import optuna
import psutil
import pytest
from builders import ROOT

optuna.logging.set_verbosity(optuna.logging.WARNING)
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
def undisturbed(tmp_path_factory):
    """A search with one worker that ran to its end."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    process = start(folder, "--workers", "1")
    assert process.wait(180) == 0
    return folder


def test_killed_and_started_again_it_ends_as_if_it_had_been_left_alone(undisturbed, tmp_path):
    folder, rng = tmp_path / "run", random.Random(0)
    for kills in range(3):
        process = start(folder, "--workers", "1")
        wait_until(lambda: ended(folder) >= 3 * kills + rng.randint(1, 3) or process.poll() is not None)  # noqa: B023
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert start(folder, "--workers", "1").wait(180) == 0
    assert results(folder) == results(undisturbed)
    assert Counter(trial.state.name for trial in study_of(folder).trials).keys() <= {"COMPLETE", "PRUNED", "FAIL"}


def test_workers_that_are_killed_again_and_again_end_no_search(tmp_path):
    folder, rng = tmp_path / "run", random.Random(1)
    process = start(folder, "--workers", "2")
    wait_until(lambda: ended(folder) >= 1)
    for _ in range(6):
        workers = workers_of(process.pid)
        if workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                rng.choice(workers).kill()
        time.sleep(0.7)
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output
    trials = [trial for trial in study_of(folder).trials if trial.state.name in ("COMPLETE", "PRUNED")]
    assert sorted(trial.user_attrs["lineage"] for trial in trials) == list(range(12))
    assert "error" not in {trial.user_attrs["stopped"] for trial in trials}


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


def workers_of(pid):
    """The worker processes of a search."""
    with contextlib.suppress(psutil.NoSuchProcess):
        servers = [child for child in psutil.Process(pid).children() if "forkserver" in " ".join(child.cmdline())]
        return [child for server in servers for child in server.children()]
    return []
