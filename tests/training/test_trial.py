"""One trial from its start to its end, and what it leaves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import CONFIG, job

from search.choice.constraints import Constraints
from search.data.tensors import DeviceData
from search.stopping.stopped import Stopped
from search.training.checkpoint import load_weights
from search.training.evaluate import evaluate
from search.training.precision import CANDIDATES, Precision
from search.training.trial import Conditions, Stop, is_memory_error, run_trial
from spaces import cnn

CPU = torch.device("cpu")


def noisy(digits, images=100, share=0.5):
    """A few images, many of them with a wrong label."""
    data = digits.to(CPU)
    labels = data.labels.clone()
    wrong = data.train[:images][torch.rand(images, generator=torch.Generator().manual_seed(0)) < share]
    labels[wrong] = (labels[wrong] + 1 + wrong % 8) % 10
    few = {name: getattr(data, name) for name in ("images", "val", "mean", "std", "classes", "flip")}
    return DeviceData(labels=labels, train=data.train[:images], probe=data.train[:images], **few)


def test_an_overfitting_run_is_stopped_and_keeps_its_best_epoch(digits, conditions):
    config = {"width": 48, "depth": 4, "dropout": 0.0, "augmentation": 0.0, "weight_decay": 1e-3, "batch_size": 16}
    data = noisy(digits)
    outcome = run_trial(job(60, **config), cnn.build, data, conditions)
    val_loss = outcome.history["val_loss"]
    assert outcome.stopped == "overfit"
    assert len(val_loss) < 60
    assert outcome.run.best_epoch == int(np.argmin(val_loss)) < len(val_loss) - 1
    weights, losses = load_weights(conditions.weights(0))
    model = cnn.build(CONFIG | config, channels=1, image_size=(8, 8), classes=10)
    model.load_state_dict(weights)
    assert np.array_equal(evaluate(model, data, data.val, Precision()).losses, losses)
    assert losses.mean(dtype=np.float64) == pytest.approx(val_loss[outcome.run.best_epoch], abs=1e-9)
    assert "while training loss still fell" in outcome.reason


def test_a_healthy_run_is_not_stopped(digits, conditions):
    outcome = run_trial(job(12), cnn.build, digits.to(CPU), conditions)
    assert outcome.stopped == "finished"
    assert len(outcome.history["val_loss"]) == 12


def test_a_ceiling_for_the_gap_moves_the_best_epoch(digits, tmp_path):
    config = {"width": 32, "depth": 3, "dropout": 0.0, "augmentation": 0.0, "batch_size": 16}
    outcomes = {}
    for max_gap in (None, 0.25):
        held_to = Conditions(Constraints(3.0, max_gap), Precision(), tmp_path / str(max_gap), "study", "data")
        outcomes[max_gap] = run_trial(job(25, **config), cnn.build, noisy(digits), held_to)
    free, held = outcomes[None], outcomes[0.25]
    assert free.history["gap"][free.run.best_epoch] > 0.25
    assert held.history["gap"][held.run.best_epoch] <= 0.25
    allowed = [loss for loss, gap in zip(held.history["val_loss"], held.history["gap"], strict=True) if gap <= 0.25]
    assert held.history["val_loss"][held.run.best_epoch] == min(allowed)


def test_a_run_that_diverges_late_keeps_its_best_epoch(digits, conditions):
    class Exploding(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = cnn.build(CONFIG, channels=1, image_size=(8, 8), classes=10)
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, images):
            self.seen += self.training
            return self.inner(images) * torch.where(self.seen > 20, torch.nan, 1.0)

    outcome = run_trial(job(20), lambda config, **kw: Exploding(), digits.to(CPU), conditions)
    assert outcome.stopped == "diverged"
    assert outcome.run.best_epoch == len(outcome.history["val_loss"]) - 2
    assert conditions.weights(0).is_file()


def test_out_of_memory_is_told_apart_from_other_errors(digits, conditions):
    def too_large(config, **kwargs):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried")

    def broken(config, **kwargs):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    outcome = run_trial(job(2), too_large, digits.to(CPU), conditions)
    assert (outcome.stopped, outcome.run, outcome.history) == ("out_of_memory", None, {})
    assert outcome.reason.endswith("can't allocate memory: you tried")
    with pytest.raises(RuntimeError, match="mat1"):
        run_trial(job(2), broken, digits.to(CPU), conditions)


@pytest.mark.parametrize(
    ("said", "memory"),
    [
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True),
        ("CUDA error: out of memory", True),
        ("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried", True),
        ("CUDA error: an illegal memory access was encountered", False),
        ("mat1 and mat2 shapes cannot be multiplied", False),
    ],
)
def test_want_of_memory_is_known_by_its_words(said, memory):
    assert is_memory_error(RuntimeError(said)) is memory


def test_a_report_can_end_a_trial(digits, conditions):
    def report(told):
        return Stop(Stopped.HOPELESS, "too far") if len(told.history["val_loss"]) == 3 else None

    outcome = run_trial(job(10), cnn.build, digits.to(CPU), conditions, report=report)
    assert (outcome.stopped, outcome.reason, len(outcome.history["gap"])) == ("hopeless", "too far", 3)
    assert not conditions.weights(0).exists()


@pytest.mark.gpu
def test_a_trial_runs_on_a_gpu(digits, conditions):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    data = digits.to(torch.device("cuda"))
    outcome = run_trial(job(12), cnn.build, data, replace(conditions, precision=CANDIDATES[-1]))
    assert outcome.stopped == "finished"
    assert outcome.history["val_accuracy"][outcome.run.best_epoch] > 0.8
