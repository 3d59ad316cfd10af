"""A network in training: its batches, its weight decay, its seed, and how it is interrupted."""

import numpy as np
import pytest
import torch
from builders import CONFIG

from search.measurement import measure
from search.training.precision import Precision
from search.training.trainer import Interrupted, Trainer, parameter_groups
from spaces import cnn

CPU = torch.device("cpu")


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
