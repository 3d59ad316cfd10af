"""The clean measurement: both losses from one function, whatever training does to images and network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from builders import CONFIG

from search.measurement import recalls
from search.training.augment import augment
from search.training.evaluate import evaluate, on_a_gpu
from search.training.precision import Precision
from search.training.trainer import Trainer
from spaces import cnn

CPU = torch.device("cpu")


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
            assert np.array_equal(measured.predicted, logits.argmax(1).numpy())


def test_evaluation_leaves_the_mode_as_it_was(digits):
    data = digits.to(CPU)
    model = cnn.build(CONFIG, channels=1, image_size=(8, 8), classes=10).train()
    evaluate(model, data, data.val, Precision())
    assert model.training


def test_classes_weigh_alike_in_the_measured_losses(digits):
    """As torch's own weighted mean says; probe and validation have the same weights."""
    weights = torch.linspace(0.5, 2.0, 10)
    data = replace(digits.to(CPU), class_weights=weights, uneven=True)
    model = cnn.build(CONFIG, channels=1, image_size=(8, 8), classes=10)
    for indices in (data.probe, data.val):
        measured, labels = evaluate(model, data, indices, Precision()), data.labels[indices]
        with torch.no_grad():
            logits = model.eval()(data.normalize(data.pixels(indices)))
        assert measured.losses.mean() == pytest.approx(F.cross_entropy(logits, labels, weights).item(), rel=1e-5)
        by_class = recalls(labels.numpy(), measured.correct, 10)
        assert measured.balanced_accuracy == pytest.approx(by_class.mean())


def test_even_classes_have_no_balanced_accuracy(digits):
    data = digits.to(CPU)
    model = cnn.build(CONFIG, channels=1, image_size=(8, 8), classes=10)
    assert evaluate(model, data, data.val, Precision()).balanced_accuracy is None


@pytest.mark.parametrize(
    ("shape", "images"),
    [((1, 28, 28), 4096), ((3, 32, 32), 4096), ((3, 64, 64), 1024), ((3, 224, 224), 83), ((3, 2000, 2000), 32)],
)
def test_of_large_images_a_gpu_takes_fewer_at_once(shape, images):
    assert on_a_gpu(shape) == images
