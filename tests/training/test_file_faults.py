"""Trials whose files fail them: full disks, and checkpoints and weights that are not what was written."""

import errno
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import CONFIG

from search.training import file_faults, tensor_files
from search.training import trial as trials
from search.training.checkpoint import load_weights, save_weights
from search.training.evaluate import ON_A_CPU
from search.training.tensor_files import DamagedFile, load_tensors, save_tensors
from search.training.trial import Job, run_trial
from spaces import cnn

JOB = Job(number=7, config=CONFIG, seed=1, epochs=4, lineage=7)


def overwrite(path: Path, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(content)


DAMAGES = {
    "empty": lambda path: os.truncate(path, 0),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "garbled": lambda path: overwrite(path, b"garbage!"),
    "garbage": lambda path: path.write_bytes(b"garbage" * 999),
    "a number": lambda path: torch.save(3, path),
    "other content": lambda path: torch.save({"weights": {"a": 1}, "trainer": {}}, path),
    "no tensors": lambda path: torch.save({"weights": {"a": 1}, "val_losses": torch.ones(3)}, path),
    "a pickle that runs code": lambda path: torch.save({"weights": os.system}, path),
}


class Watched:
    """A trial, and what it says."""

    def __init__(self, digits, conditions):
        self.data, self.conditions, self.told = digits.to(torch.device("cpu")), conditions, []
        self.weights, self.checkpoint = conditions.weights(7), conditions.checkpoint(JOB.lineage)

    def run(self, **options):
        return run_trial(JOB, cnn.build, self.data, self.conditions, say=self.told.append, **options)

    def interrupted_after(self, epochs):
        """Leaves a checkpoint; how a search that was killed ends."""
        asked, each = iter(range(10**9)), math.ceil(400 / CONFIG["batch_size"]) + 2 * math.ceil(200 / ON_A_CPU)
        return self.run(interrupted=lambda: next(asked) > epochs * each + 1)


@pytest.fixture
def trial(digits, conditions, monkeypatch):
    monkeypatch.setattr(trials, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(file_faults, "RETRY_SECONDS", 0.15)
    return Watched(digits, conditions)


@pytest.fixture
def undisturbed(trial):
    """The curves of a trial that nothing has happened to."""
    curves = trial.run().history
    shutil.rmtree(trial.conditions.folder)
    return curves


@pytest.fixture
def full_disk(monkeypatch):
    """No room in the folders of that name for so many attempts."""
    attempts, replace = {}, tensor_files.replace_file

    def write(path, fill):
        if attempts.get(path.parent.name, 0) > 0:
            attempts[path.parent.name] -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(path, fill)

    monkeypatch.setattr(tensor_files, "replace_file", write)
    return attempts


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_costs_the_epochs_before_it_and_nothing_else(trial, undisturbed, damage):
    assert trial.interrupted_after(2).stopped == "interrupted"
    damage(trial.checkpoint)
    outcome = trial.run()
    assert (outcome.stopped, outcome.history) == ("finished", undisturbed)
    (line,) = trial.told
    assert line.startswith(f"the checkpoint {trial.checkpoint} is damaged (")
    assert line.endswith("): it is set aside, and trial 7 starts afresh")
    assert "\n" not in line
    assert {path.name for path in trial.checkpoint.parent.iterdir()} == {"7.pt", "7.pt.damaged"}


def test_a_checkpoint_of_another_network_is_no_checkpoint_of_this_one(trial, undisturbed):
    trial.interrupted_after(2)
    content = load_tensors(trial.checkpoint)
    content["trainer"]["model"] = {"other": torch.ones(3)}
    save_tensors(trial.checkpoint, content)
    assert trial.run().history == undisturbed
    assert "is damaged (it is no checkpoint of this trial)" in trial.told[0]


def test_too_little_memory_is_no_damage(trial, monkeypatch):
    def load(*_arguments, **_options):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 PB")

    trial.interrupted_after(2)
    monkeypatch.setattr(torch, "load", load)
    assert trial.run().stopped == "out_of_memory"
    assert trial.told == []


@pytest.mark.parametrize("damage", [*DAMAGES.values(), Path.unlink], ids=[*DAMAGES, "missing"])
def test_damaged_weights(tmp_path, damage):
    path = tmp_path / "7.pt"
    save_weights(path, {"a": torch.rand(5000)}, np.ones(3, np.float32))
    assert len(load_weights(path)[1]) == 3
    damage(path)
    with pytest.raises(DamagedFile):
        load_weights(path)


def test_weights_wait_for_room(trial, undisturbed, full_disk):
    full_disk["weights"] = 3
    outcome = trial.run()
    assert (outcome.stopped, outcome.history) == ("finished", undisturbed)
    assert np.array_equal(load_weights(trial.weights)[1], outcome.val_losses)
    assert trial.told == 3 * [
        f"cannot write to {trial.weights.parent}: No space left on device; make room there: "
        f"gapsearch waits, and goes on then"
    ]
    assert trial.checkpoint.exists()  # until the outcome has been recorded


def test_who_does_not_wait_for_room_finds_the_trial_as_it_was(trial, undisturbed, full_disk):
    """Nothing is trained again: its last checkpoint holds all its epochs."""
    full_disk["weights"] = 10**6
    outcome = trial.run(interrupted=lambda: len(trial.told) > 0)
    assert (outcome.stopped, outcome.history) == ("interrupted", undisturbed)
    full_disk.clear()
    outcome = trial.run(report=None)  # which is called after each epoch
    assert (outcome.stopped, outcome.history) == ("finished", undisturbed)
    assert np.array_equal(load_weights(trial.weights)[1], outcome.val_losses)


def test_where_no_checkpoint_can_be_written_either_the_outcome_is_kept(trial, undisturbed, full_disk):
    full_disk |= {"weights": 10**6, "checkpoints": 10**6}
    outcome = trial.run(interrupted=lambda: any("gapsearch waits" in text for text in trial.told))
    assert (outcome.stopped, outcome.history) == ("finished", undisturbed)
    assert list(trial.conditions.folder.rglob("*.pt")) == []


def test_a_checkpoint_that_cannot_be_written_is_skipped(trial, undisturbed, full_disk):
    full_disk["checkpoints"] = 3
    outcome = trial.run()
    assert (outcome.stopped, outcome.history) == ("finished", undisturbed)
    assert trial.told == 3 * [
        f"cannot write to {trial.checkpoint.parent}: No space left on device; make room there: "
        f"without checkpoints, trials that are interrupted start afresh"
    ]


def test_a_disk_that_is_really_full(small_disk):
    """torch.save itself says only `unexpected pos 576 vs 534`."""
    with pytest.raises(OSError, match="No space left on device"):
        save_tensors(small_disk / "7.pt", torch.rand(2 * 10**6))
    assert list(small_disk.iterdir()) == []
