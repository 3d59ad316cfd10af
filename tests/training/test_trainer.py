"""Training, the clean measurement, and one trial from its start to its end."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from builders import CONFIG

from search.choice.constraints import Terms
from search.data.tensors import DeviceData
from search.measurement import measure
from search.training import trial as trials
from search.training.augment import augment
from search.training.checkpoint import load_weights
from search.training.evaluate import evaluate
from search.training.precision import CANDIDATES, Precision, fastest_precision
from search.training.trainer import Interrupted, Trainer, parameter_groups
from search.training.trial import Conditions, Job, run_trial
from spaces import cnn

CPU = torch.device("cpu")


def job(epochs, number=0, **changes):
    return Job(number, CONFIG | changes, seed=1, epochs=epochs, lineage=number)


def noisy(digits, images=100, share=0.5):
    """A few images, many of them with a wrong label."""
    data = digits.to(CPU)
    labels = data.labels.clone()
    wrong = data.train[:images][torch.rand(images, generator=torch.Generator().manual_seed(0)) < share]
    labels[wrong] = (labels[wrong] + 1 + wrong % 8) % 10
    few = {name: getattr(data, name) for name in ("images", "val", "mean", "std", "classes", "flip")}
    return DeviceData(labels=labels, train=data.train[:images], probe=data.train[:images], **few)


def running_loss(trainer, strength):
    """The loss seen while training: dropout on, images augmented."""
    data, model = trainer.data, trainer.averaged.train()
    with torch.no_grad():
        pixels = augment(data.pixels(data.probe), strength, flip=False, generator=torch.Generator().manual_seed(0))
        loss = F.cross_entropy(model(data.normalize(pixels)), data.labels[data.probe]).item()
    model.eval()
    return loss


def test_augmentation_and_dropout_do_not_change_the_measured_train_loss(digits):
    data = digits.to(CPU)
    plain = Trainer(cnn.build, CONFIG | {"dropout": 0.0, "augmentation": 0.0}, data, seed=0, precision=Precision())
    for _ in range(3):
        plain.epoch()
    strong = Trainer(cnn.build, CONFIG | {"dropout": 0.5, "augmentation": 1.0}, data, seed=0, precision=Precision())
    strong.averaged.load_state_dict(plain.averaged.state_dict())
    losses = [evaluate(t.averaged, data, data.probe, Precision()).losses for t in (plain, strong)]
    assert np.array_equal(*losses)
    # the running loss in its place would not pass: it is far from equal
    assert running_loss(strong, 1.0) > 1.2 * running_loss(plain, 0.0)


def test_both_losses_come_from_the_same_function(digits):
    data = digits.to(CPU)
    trainer = Trainer(cnn.build, CONFIG, data, seed=0, precision=Precision())
    epoch = trainer.epoch()
    with torch.no_grad():
        for indices, measured in ((data.probe, epoch.train), (data.val, epoch.val)):
            logits = trainer.averaged(data.normalize(data.pixels(indices)))
            expected = F.cross_entropy(logits, data.labels[indices], reduction="none").numpy()
            np.testing.assert_allclose(measured.losses, expected, rtol=1e-4, atol=1e-5)
            assert np.array_equal(measured.correct, (logits.argmax(1) == data.labels[indices]).numpy())


def test_evaluation_leaves_the_mode_as_it_was(digits):
    data = digits.to(CPU)
    model = cnn.build(CONFIG, channels=1, image_size=(8, 8), classes=10).train()
    evaluate(model, data, data.val, Precision())
    assert model.training


def test_an_overfitting_run_is_stopped_and_keeps_its_best_epoch(digits, conditions):
    config = {"width": 48, "depth": 4, "dropout": 0.0, "augmentation": 0.0, "weight_decay": 1e-3, "batch_size": 16}
    data = noisy(digits)
    outcome = run_trial(job(60, **config), cnn.build, data, conditions)
    val_loss = outcome.history["val_loss"]
    assert outcome.stopped == "overfit"
    assert len(val_loss) < 60
    assert outcome.best_epoch == int(np.argmin(val_loss)) < len(val_loss) - 1
    weights, losses = load_weights(conditions.weights(0))
    model = cnn.build(outcome_config(config), channels=1, image_size=(8, 8), classes=10)
    model.load_state_dict(weights)
    assert np.array_equal(evaluate(model, data, data.val, Precision()).losses, losses)
    assert losses.mean(dtype=np.float64) == pytest.approx(val_loss[outcome.best_epoch], abs=1e-9)
    assert "while training loss still fell" in outcome.reason


def outcome_config(changes):
    return CONFIG | changes


def test_a_healthy_run_is_not_stopped(digits, conditions):
    outcome = run_trial(job(12), cnn.build, digits.to(CPU), conditions)
    assert outcome.stopped == "finished"
    assert len(outcome.history["val_loss"]) == 12


def test_a_ceiling_for_the_gap_moves_the_best_epoch(digits, tmp_path):
    config = {"width": 32, "depth": 3, "dropout": 0.0, "augmentation": 0.0, "batch_size": 16}
    outcomes = {}
    for max_gap in (None, 0.25):
        terms = Conditions(Terms(3.0, max_gap), Precision(), tmp_path / str(max_gap))
        outcomes[max_gap] = run_trial(job(25, **config), cnn.build, noisy(digits), terms)
    free, held = outcomes[None], outcomes[0.25]
    assert free.history["gap"][free.best_epoch] > 0.25
    assert held.history["gap"][held.best_epoch] <= 0.25
    allowed = [loss for loss, gap in zip(held.history["val_loss"], held.history["gap"], strict=True) if gap <= 0.25]
    assert held.history["val_loss"][held.best_epoch] == min(allowed)


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
    assert outcome.best_epoch == len(outcome.history["val_loss"]) - 2
    assert conditions.weights(0).is_file()


def test_out_of_memory_is_told_apart_from_other_errors(digits, conditions):
    def too_large(config, **kwargs):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried")

    def broken(config, **kwargs):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    assert run_trial(job(2), too_large, digits.to(CPU), conditions).stopped == "out_of_memory"
    with pytest.raises(RuntimeError, match="mat1"):
        run_trial(job(2), broken, digits.to(CPU), conditions)


def test_a_report_can_end_a_trial(digits, conditions):
    def report(told):
        return trials.Stop("hopeless", "too far") if len(told.history["val_loss"]) == 3 else None

    outcome = run_trial(job(10), cnn.build, digits.to(CPU), conditions, report=report)
    assert (outcome.stopped, outcome.reason, len(outcome.history["gap"])) == ("hopeless", "too far", 3)
    assert not conditions.weights(0).exists()


def test_an_interrupted_trial_goes_on_from_its_checkpoint_to_the_last_digit(digits, conditions, monkeypatch):
    data = digits.to(CPU)
    whole = run_trial(job(6, number=1), cnn.build, data, conditions)
    monkeypatch.setattr(trials, "CHECKPOINT_SECONDS", 0.0)
    steps = iter(range(10**6))
    part = run_trial(job(6, number=2), cnn.build, data, conditions, interrupted=lambda: next(steps) > 22)
    assert part.stopped == "interrupted"
    assert 0 < len(part.history["val_loss"]) < 6
    assert conditions.checkpoint(job(6, number=2)).is_file()
    torch.manual_seed(99)
    rest = run_trial(job(6, number=2), cnn.build, data, conditions)
    assert rest.history == whole.history
    assert rest.best_epoch == whole.best_epoch
    assert not conditions.checkpoint(job(6, number=2)).exists()


@pytest.mark.parametrize(("batch_size", "steps"), [(399, 1), (400, 1), (1000, 1), (133, 3), (64, 6), (1, 400)])
def test_no_batch_is_a_leftover(digits, batch_size, steps):
    trainer = Trainer(cnn.build, CONFIG | {"batch_size": batch_size}, digits.to(CPU), seed=0, precision=Precision())
    assert trainer.steps == steps
    assert 400 - trainer.steps * trainer._batch < trainer.steps
    if steps < 10:
        assert np.isfinite(measure(*(lambda e: (e.train, e.val))(trainer.epoch())).val_loss)


def test_weight_decay_spares_biases_and_norms():
    decayed, spared = parameter_groups(cnn.build(CONFIG, channels=1, image_size=(8, 8), classes=10), 0.5)
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in spared["params"]} == {1}
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.5, 0.0)


def test_training_is_repeatable_and_depends_on_the_seed(digits):
    def losses(seed):
        return Trainer(cnn.build, CONFIG, digits.to(CPU), seed=seed, precision=Precision()).epoch().val.losses

    assert np.array_equal(losses(1), losses(1))
    assert not np.array_equal(losses(1), losses(2))


def test_interruption_comes_between_batches(digits):
    trainer = Trainer(cnn.build, CONFIG, digits.to(CPU), seed=0, precision=Precision(), interrupted=lambda: True)
    with pytest.raises(Interrupted):
        trainer.epoch()


def test_every_precision_trains(digits):
    for precision in CANDIDATES:
        trainer = Trainer(cnn.build, CONFIG, digits.to(CPU), seed=0, precision=precision)
        losses = [measure(e.train, e.val).val_loss for e in (trainer.epoch() for _ in range(6))]
        assert losses[-1] < 0.7 * losses[0]
    build = lambda: cnn.build(CONFIG, channels=1, image_size=(8, 8), classes=10)  # noqa: E731
    assert fastest_precision(build, (1, 8, 8), 32, CPU) in CANDIDATES


@pytest.mark.gpu
def test_a_trial_runs_on_a_gpu(digits, conditions):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    data = digits.to(torch.device("cuda"))
    outcome = run_trial(job(12), cnn.build, data, Conditions(conditions.terms, CANDIDATES[-1], conditions.folder))
    assert outcome.stopped == "finished"
    assert outcome.history["val_accuracy"][outcome.best_epoch] > 0.8
