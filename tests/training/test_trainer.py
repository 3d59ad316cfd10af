"""A network in training: its batches, its weight decay, its seed, and how it is interrupted."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import CONFIG

from search.measurement import measure
from search.training.precision import Precision
from search.training.trainer import Interrupted, Trainer, batch_loss, parameter_groups
from spaces import cnn

CPU = torch.device("cpu")


@pytest.mark.parametrize(("batch_size", "steps"), [(399, 1), (400, 1), (1000, 1), (133, 3), (64, 6), (1, 400)])
def test_no_batch_is_a_leftover(digits, batch_size, steps):
    trainer = Trainer(cnn.build, CONFIG | {"batch_size": batch_size}, digits.to(CPU), seed=0, precision=Precision())
    assert trainer.steps == steps
    assert 400 - trainer.steps * trainer._batch < trainer.steps
    if steps < 10:
        assert np.isfinite(measure(*(lambda e: (e.train, e.val))(trainer.epoch())).val_loss)


@pytest.mark.parametrize(("images", "steps"), [(1, 1), (2, 1), (3, 1), (7, 3), (9, 4)])  # 7 / 2 and 3 / 2 round up
def test_only_a_batch_size_of_one_makes_batches_of_one(digits, images, steps):
    few = replace(digits.to(CPU), train=digits.to(CPU).train[:images])
    assert Trainer(cnn.build, CONFIG | {"batch_size": 2}, few, seed=0, precision=Precision()).steps == steps


def test_weight_decay_spares_biases_and_norms():
    decayed, spared = parameter_groups(cnn.build(CONFIG, channels=1, image_size=(8, 8), classes=10), 0.5)
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in spared["params"]} == {1}
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.5, 0.0)
    assert decayed["share"] == spared["share"] == 1.0


def test_training_is_repeatable_and_depends_on_the_seed(digits):
    def losses(seed):
        return Trainer(cnn.build, CONFIG, digits.to(CPU), seed=seed, precision=Precision()).epoch().val.losses

    assert np.array_equal(losses(1), losses(1))
    assert not np.array_equal(losses(1), losses(2))


def test_interruption_comes_between_batches(digits):
    trainer = Trainer(cnn.build, CONFIG, digits.to(CPU), seed=0, precision=Precision(), interrupted=lambda: True)
    with pytest.raises(Interrupted):
        trainer.epoch()


def test_whether_to_go_on_is_asked_before_each_batch_and_each_measured_one(digits):
    """400 images in batches of 50; 200 of them and 200 others are measured, 128 at a time."""
    asked = []
    trainer = Trainer(
        cnn.build, CONFIG | {"batch_size": 50}, digits.to(CPU), seed=0, precision=Precision(),
        interrupted=lambda: asked.append(1),
    )  # fmt: skip
    trainer.epoch()
    assert len(asked) == 8 + 2 * 2


def test_a_batch_weighs_its_images_as_their_classes():
    """Losses log 2 and log 4 of weights 3 and 1, over two images, whatever the weights sum to."""
    logits = torch.tensor([[0.0, 0.0], [0.0, float(np.log(3))]])
    labels, weights = torch.tensor([1, 0]), torch.tensor([1.0, 3.0])
    assert batch_loss(logits, labels, weights).item() == pytest.approx((3 * np.log(2) + np.log(4)) / 2)
    assert batch_loss(logits, labels, None).item() == pytest.approx((np.log(2) + np.log(4)) / 2)


def test_training_learns_what_weighs(digits):
    """Class 3 alone counts: soon nearly everything is taken for it."""
    weights = torch.zeros(10)
    weights[3] = 10.0
    data = replace(digits.to(CPU), class_weights=weights)
    trainer = Trainer(cnn.build, CONFIG, data, seed=0, precision=Precision())
    predicted = [trainer.epoch().val.predicted for _ in range(3)][-1]
    assert (predicted == 3).mean() > 0.9


def test_build_may_take_entries_out_of_its_configuration(digits):
    """Training reads the recipe all the same, and the configuration stays as it is."""

    def build(config, **image):
        config.pop("learning_rate")
        return cnn.build(config, **image)

    config = CONFIG | {"learning_rate": 0.005}
    trainer = Trainer(build, config, digits.to(CPU), seed=0, precision=Precision())
    assert config["learning_rate"] == 0.005
    assert {group["lr"] for group in trainer.optimizer.param_groups} == {0.005}


def test_an_ended_training_gives_its_memory_back_at_once(digits):
    """Nothing holds itself in a circle, which only the collector would find."""
    gc.disable()
    try:
        trainer = Trainer(cnn.build, CONFIG, digits.to(CPU), seed=0, precision=Precision())
        trainer.train_epoch()
        trainer.load_state_dict(trainer.state_dict())
        trainer.train_epoch()
        alive = [weakref.ref(one) for one in (trainer, trainer.model, trainer.averaged, trainer.optimizer)]
        del trainer
        assert [one() for one in alive] == [None] * 4
    finally:
        gc.enable()
