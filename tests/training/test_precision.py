"""Number formats."""

import torch
from builders import CONFIG

from search.measurement import measure
from search.training.precision import CANDIDATES, fastest_precision
from search.training.trainer import Trainer
from spaces import cnn

CPU = torch.device("cpu")


def test_every_precision_trains(digits):
    for precision in CANDIDATES:
        trainer = Trainer(cnn.build, CONFIG, digits.to(CPU), seed=0, precision=precision)
        losses = [measure(e.train, e.val).val_loss for e in (trainer.epoch() for _ in range(6))]
        assert losses[-1] < 0.7 * losses[0]
    build = lambda: cnn.build(CONFIG, channels=1, image_size=(8, 8), classes=10)  # noqa: E731
    assert fastest_precision(build, (1, 8, 8), 32, CPU) in CANDIDATES
