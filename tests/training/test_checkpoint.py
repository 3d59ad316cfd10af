"""What a trial writes while it trains, and how it goes on from there."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builders import CONFIG, job

from search.stopping.overfit import OverfitRule
from search.training import trial as trials
from search.training import trial_files
from search.training.checkpoint import RunState, load_checkpoint, load_weights, save_checkpoint, save_weights
from search.training.precision import Precision
from search.training.tensor_files import DamagedFile
from search.training.trainer import Trainer
from search.training.trial import run_trial
from spaces import cnn

CPU = torch.device("cpu")
IDENTITY = {"study": "a", "lineage": 0}


def test_an_interrupted_trial_goes_on_from_its_checkpoint_to_the_last_digit(digits, conditions, monkeypatch):
    data = digits.to(CPU)
    whole = run_trial(job(6, number=1), cnn.build, data, conditions)
    monkeypatch.setattr(trials, "CHECKPOINT_SECONDS", 0.0)
    steps = iter(range(10**6))
    part = run_trial(job(6, number=2), cnn.build, data, conditions, interrupted=lambda: next(steps) > 22)
    assert part.stopped == "interrupted"
    assert 0 < len(part.history["val_loss"]) < 6
    assert conditions.checkpoint(2).is_file()
    torch.manual_seed(99)
    rest = run_trial(job(6, number=2), cnn.build, data, conditions)
    assert rest.history == whole.history
    assert rest.run.best_epoch == whole.run.best_epoch
    assert conditions.checkpoint(2).is_file()  # until whoever records the outcome removes it


def test_a_finished_run_goes_on_to_more_epochs_to_the_last_digit(digits, conditions):
    data = digits.to(CPU)
    whole = run_trial(job(6, number=1), cnn.build, data, conditions)
    run_trial(job(3, number=2), cnn.build, data, conditions)
    torch.manual_seed(99)
    reported = []
    further = replace(job(6, number=3), lineage=2, continues=2)
    rest = run_trial(further, cnn.build, data, conditions, report=reported.append)
    assert len(reported) == 3
    assert (rest.history, rest.run.at_best) == (whole.history, whole.run.at_best)
    weights, same = load_weights(conditions.weights(3)), load_weights(conditions.weights(1))
    assert all(torch.equal(weights[0][name], same[0][name]) for name in same[0])
    assert np.array_equal(weights[1], same[1])


def test_the_last_state_is_left_where_more_epochs_would_improve_the_run(digits, conditions):
    data = digits.to(CPU)
    run_trial(job(3, number=1), cnn.build, data, conditions)
    assert conditions.checkpoint(1).is_file()
    run_trial(job(3, number=2, learning_rate=1e-9), cnn.build, data, conditions)
    assert conditions.weights(2).is_file()
    assert not conditions.checkpoint(2).exists()


def test_a_run_that_is_to_go_on_does_not_start_afresh(digits, conditions):
    data, further = digits.to(CPU), replace(job(2), continues=7)
    with pytest.raises(DamagedFile, match="No such file"):
        run_trial(further, cnn.build, data, conditions)
    conditions.checkpoint(0).parent.mkdir()
    conditions.checkpoint(0).write_bytes(b"garbage")
    with pytest.raises(DamagedFile, match="not a zip file"):
        run_trial(further, cnn.build, data, conditions)


@pytest.mark.parametrize(
    ("seconds", "saved"), [(4.0, [3, 6]), (7.0, [2, 4, 6]), (8.0, [1, 2, 3, 4, 5, 6]), (20.0, [1, 2, 3, 4, 5, 6])]
)
def test_an_interruption_costs_15_s_or_an_epoch(digits, conditions, monkeypatch, seconds, saved):
    """Of epochs of 4 s the third ends after 12 s; without a checkpoint the fourth would be lost after 15.9 s."""
    times, epoch, written = [0.0], Trainer.epoch, []

    def timed(trainer):
        times.append(times[-1] + seconds)
        return replace(epoch(trainer), seconds=seconds)

    monkeypatch.setattr(Trainer, "epoch", timed)
    monkeypatch.setattr(trials, "time", SimpleNamespace(monotonic=lambda: times[-1]))
    monkeypatch.setattr(trial_files, "save_checkpoint", lambda *arguments: written.append(arguments[-1].epochs))
    run_trial(job(6, number=1), cnn.build, digits.to(CPU), conditions)
    assert written == saved


def test_a_state_comes_back_as_it_was_saved(digits, tmp_path):
    def trainer(seed):
        return Trainer(cnn.build, CONFIG, digits.to(CPU), seed=seed, precision=Precision())

    first, state = trainer(0), RunState(OverfitRule())
    epoch = first.epoch()
    state.overfit.update(epoch.train.losses, epoch.val.losses)
    state.history, state.seconds, state.best_epoch = {"val_loss": [0.1 + 0.2], "gap": [float("nan")]}, 1.5, 0
    state.lowest_losses = state.best_losses = epoch.val.losses
    state.best_weights = first.weights()
    path = tmp_path / "checkpoints" / "0.pt"
    save_checkpoint(path, IDENTITY, first, state)
    following = first.epoch().val.losses
    second, found = trainer(1), RunState(OverfitRule())
    load_checkpoint(path, IDENTITY, second, found)
    assert (found.epochs, found.seconds, found.best_epoch) == (1, 1.5, 0)
    assert repr(found.history) == repr(state.history)
    for name in ("lowest_losses", "best_losses"):
        assert np.array_equal(getattr(found, name), epoch.val.losses)
        assert getattr(found, name).dtype == np.float32
    assert all(torch.equal(found.best_weights[name], kept) for name, kept in state.best_weights.items())
    assert np.array_equal(second.epoch().val.losses, following)
    assert {file.name for file in path.parent.iterdir()} == {"0.pt"}


def test_a_state_before_its_first_finite_loss_comes_back_too(digits, tmp_path):
    trainer = Trainer(cnn.build, CONFIG, digits.to(CPU), seed=0, precision=Precision())
    save_checkpoint(tmp_path / "0.pt", IDENTITY, trainer, RunState(OverfitRule()))
    found = RunState(OverfitRule(), history={"val_loss": [1.0]}, best_epoch=3)
    load_checkpoint(tmp_path / "0.pt", IDENTITY, trainer, found)
    assert (found.epochs, found.best_epoch, found.best_losses, found.best_weights) == (0, None, None, None)


def test_weights_come_back_with_the_losses_that_they_had(tmp_path):
    weights, losses = {"weight": torch.rand(2, 3)}, np.array([0.25, np.inf], dtype=np.float32)
    save_weights(tmp_path / "weights" / "3.pt", weights, losses)
    found, same = load_weights(tmp_path / "weights" / "3.pt")
    assert torch.equal(found["weight"], weights["weight"])
    assert np.array_equal(same, losses)
