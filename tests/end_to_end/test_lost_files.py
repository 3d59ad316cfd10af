"""Searches whose files fail them: full disks, damaged weights and checkpoints, what killed ones left."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from builders import settings, study_of

import search
from search.engine.launch import run_search
from search.errors import UserError
from search.settings import Settings
from search.training.checkpoint import save_weights
from search.use.retrain import retrain

START = """
import sys
from search.engine.launch import run_search
from search.log import show_log
from search.settings import Settings
show_log()
sys.exit(128 + (run_search(Settings(
    name="digits", dataset="digits", trials=6, epochs=2, workers=2, device="cpu", out="run",
    train_size=200, val_size=100, ranges={"width": (8, 16), "depth": (2, 3)})) or -128))
"""


def enough(folder: Path) -> Settings:
    """Of a search that finds something to choose."""
    return settings(folder, epochs=15, train_size=None, val_size=None)


def endings(folder: Path) -> Counter[str]:
    ended = [trial for trial in study_of(folder).trials if trial.state.is_finished()]
    return Counter(trial.user_attrs["stopped"] if trial.state.name != "FAIL" else "FAIL" for trial in ended)


@pytest.fixture
def full_disk(tmp_path, small_disk):
    """The folder `weights` of a run on a disk without room. Returns the file that takes it."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "weights").symlink_to(small_disk)
    taken = small_disk / "taken"
    taken.write_bytes(bytes(shutil.disk_usage(small_disk).free))
    return taken


def test_a_full_disk_for_weights_is_waited_for(tmp_path, full_disk, caplog):
    def make_room(record: logging.LogRecord) -> bool:
        if "No space" in record.message:
            threading.Timer(5.0, full_disk.unlink).start()  # by then both workers have said it twice
        return True

    caplog.set_level("INFO", "search")
    caplog.handler.addFilter(make_room)
    assert run_search(settings(tmp_path / "run")) is None
    caplog.handler.removeFilter(make_room)
    assert endings(tmp_path / "run") <= Counter(finished=6, hopeless=6)
    line = f"cannot write to {tmp_path / 'run' / 'weights'}: No space left on device; make room there: gapsearch waits"
    assert [message.startswith(line) for message in caplog.messages if "No space" in message] == [True]
    assert list((tmp_path / "run" / "weights").glob("*.pt"))


def test_ctrl_c_while_a_full_disk_is_waited_for(tmp_path, full_disk):
    command = [sys.executable, "-c", START]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True)
    next(line for line in process.stdout if "No space left on device" in line)
    os.killpg(process.pid, signal.SIGINT)
    pressed = time.monotonic()
    next(line for line in process.stdout if line.startswith("report: "))  # the last one
    assert time.monotonic() - pressed < 5
    process.communicate(timeout=20)
    assert process.returncode == 130
    full_disk.unlink()
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, timeout=100)
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout
    trials = [trial for trial in study_of(tmp_path / "run").trials if trial.state.name in ("COMPLETE", "PRUNED")]
    assert len(trials) == len({trial.user_attrs["lineage"] for trial in trials}) == 6
    assert "error" not in endings(tmp_path / "run")


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A small search that ran to its end."""
    folder = tmp_path_factory.mktemp("ended") / "a run"
    run_search(enough(folder))
    return folder


@pytest.fixture
def run(ended, tmp_path):
    """A copy of that search, to be damaged."""
    return shutil.copytree(ended, tmp_path / "a run")


def chosen(run: Path) -> int:
    return yaml.safe_load((run / "best.yaml").read_text())["trial"]


def test_damaged_and_foreign_weights_end_no_search(run, said):
    best, exported = chosen(run), (run / "best.pt").read_bytes()
    damaged = run / "weights" / f"{best}.pt"
    damaged.write_bytes(b"garbage")
    (run / "weights" / "notes.pt").write_text("mine")
    (run / "weights" / "12.pt").mkdir()
    run_search(enough(run))
    text = f"{damaged} is damaged (File is not a zip file): it is set aside, and trial {best} is compared without it"
    assert text in said()
    assert (run / "weights" / "notes.pt").read_text() == "mine"
    assert damaged.with_suffix(".pt.damaged").read_bytes() == b"garbage"
    if chosen(run) == best:
        assert (run / "best.pt").read_bytes() == exported  # from the start before


def test_weights_that_are_lost_are_said_to_be(run, said):
    for path in [*(run / "weights").iterdir(), run / "best.pt"]:
        path.unlink()
    run_search(enough(run))
    assert not (run / "best.pt").exists()
    assert (
        f"best.pt could not be written, the weights of trial {chosen(run)} are lost (No such file or directory); "
        f"gapsearch train '{run / 'best.yaml'}' makes them again\n"
    ) in said()
    assert f"written: {run / 'best.yaml'}\n" in said()
    with pytest.raises(UserError, match=r"cannot read .*best\.pt: .*; gapsearch train '.*best\.yaml' makes it again"):
        search.load(run / "best.yaml").trained()
    assert retrain(run / "best.yaml", None, "cpu")
    assert f"weights: {run / 'best.pt'} too, which was missing" in said()
    search.load(run / "best.yaml").trained()


def test_weights_of_another_trial_are_not_taken(run, said):
    path = run / "weights" / f"{chosen(run)}.pt"
    save_weights(path, {"weight": torch.ones(3)}, np.ones(100, np.float32))
    (run / "best.pt").unlink()
    run_search(enough(run))
    assert f"{path} is damaged (its losses are not those of this trial)" in said()
    assert f"the weights of trial {chosen(run)} are lost" in said() or (run / "best.pt").exists()


def test_what_a_killed_search_left_is_removed(tmp_path):
    process = subprocess.Popen(["true"])
    process.wait()
    folder = tmp_path / "run"
    left = [folder / name / f".7.pt.{process.pid}.tmp" for name in (".", "weights", "checkpoints")]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    run_search(settings(folder, trials=1, epochs=1))
    assert not any(path.exists() for path in left)
