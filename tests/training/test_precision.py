"""Number formats."""

import pytest
import torch
from builders import CONFIG
from torch import nn

from search.measurement import measure
from search.training.precision import CANDIDATES, PLAIN, fastest_precision, try_out
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


class Viewed(nn.Module):
    """As many a network of one's own ends its convolutions: with `view`, which wants channels first."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4 * 36, 10)

    def forward(self, images):
        maps = self.conv(images)
        return self.head(maps.view(maps.size(0), -1))


def test_a_format_that_a_network_does_not_run_in_is_left_out():
    for precision in CANDIDATES:
        if precision.channels_last:
            with pytest.raises(RuntimeError, match="view size is not compatible"):
                try_out(precision, Viewed, (1, 8, 8), CPU)
        else:
            try_out(precision, Viewed, (1, 8, 8), CPU)
    assert fastest_precision(Viewed, (1, 8, 8), 32, CPU) == PLAIN


class Choosy(nn.Module):
    """It refuses bfloat16 with an error of its own."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, images):
        logits = self.head(images.flatten(1))
        if logits.dtype == torch.bfloat16:
            raise ValueError("not in this format")
        return logits


def test_any_error_of_a_network_leaves_a_format_out():
    assert not fastest_precision(Choosy, (1, 8, 8), 32, CPU).bf16
