"""What is wrong with a network, told before it is trained."""

import threading
import types

import pytest
import torch
from torch import nn

from search.checks.trial_run import TrialRun

CLASSES, SHAPE = 3, (2, 4, 4)
PIXELS = 32


class Complex(nn.Module):
    def __init__(self, trained=True):
        super().__init__()
        self.w = nn.Parameter(torch.randn(PIXELS, CLASSES, dtype=torch.cfloat), requires_grad=trained)
        self.bias = nn.Parameter(torch.zeros(CLASSES))

    def forward(self, images):
        return (images.flatten(1).to(torch.cfloat) @ self.w).abs() + self.bias


class Locked(nn.Linear):
    def __init__(self):
        super().__init__(PIXELS, CLASSES)
        self.lock = threading.Lock()

    def forward(self, images):
        return super().forward(images.flatten(1))


def linear(normed=lambda layer: layer):
    return nn.Sequential(nn.Flatten(), normed(nn.Linear(PIXELS, CLASSES)))


def problem(build, batch_size=8):
    space = types.SimpleNamespace(build=lambda config, *, channels, image_size, classes: build())
    return TrialRun(space, SHAPE, CLASSES).problem({"batch_size": batch_size}, computed=True)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: linear(nn.utils.weight_norm), "1.weight is computed from other weights as the network is built, so"),
        (lambda: linear(nn.utils.parametrizations.weight_norm), None),
        (lambda: linear(nn.utils.parametrizations.spectral_norm), None),
        (lambda: linear(nn.utils.spectral_norm), None),
        (Locked, "training cannot copy the network for its moving average: TypeError: cannot pickle '_thread.lock'"),
        (Complex, "the parameter w is complex64, and AdamW trains real numbers alone; keep its real and"),
        (lambda: Complex(trained=False), None),
        (lambda: linear().requires_grad_(False), "the network has no parameters that require a gradient"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")
def test_what_training_cannot_take_is_told(build, said):
    found = problem(build)
    assert (found is None) == (said is None)
    assert said is None or (found.startswith(said) and "\n" not in found)
