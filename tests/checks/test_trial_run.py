"""What is wrong with a network, told before it is trained."""

import threading
import types

import pytest
import torch
from torch import nn

from search.checks.trial_run import TrialRun

CLASSES, SHAPE = 3, (2, 4, 4)
PIXELS = 32


class Around(nn.Module):
    """A function of a layer and of flat images."""

    def __init__(self, function, layer=None):
        super().__init__()
        self.function, self.layer = function, layer or nn.Linear(PIXELS, CLASSES)

    def forward(self, images):
        return self.function(self.layer, images.flatten(1))


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


def normed(layer):
    return nn.Sequential(nn.Conv2d(2, 4, 3), layer, nn.Flatten(), nn.Linear(16, CLASSES))


def zeroed(model):
    nn.init.zeros_(model[-1].weight)
    nn.init.zeros_(model[-1].bias)
    return model


class Training(nn.BatchNorm2d):
    def train(self, mode=True):
        return super().train(True)


ON_OTHERS = "in eval mode the logits of an image depend on the others of its batch"
BY_ITSELF = f"{ON_OTHERS}; have forward take each by itself"
SQUEEZED = "for 1 image and 3 classes the network returned a tensor of shape (3,), not (1, 3)"
BATCH_NORM = f"{ON_OTHERS}, by layer 1 (BatchNorm2d); have it keep running statistics"


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: normed(nn.BatchNorm2d(4, track_running_stats=False)), BATCH_NORM),
        (lambda: normed(Training(4)), BATCH_NORM.replace("BatchNorm2d", "Training")),
        (lambda: normed(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4, track_running_stats=False),
                                      nn.Upsample(2))), BATCH_NORM.replace("layer 1", "layer 1.1")),  # one value of one
        (lambda: Around(lambda layer, x: layer(x) - layer(x).mean(0)), BY_ITSELF),
        (lambda: Around(lambda layer, x: layer(x) + 9e-4 * x.mean()), None),  # as little as rounding
        (lambda: Around(lambda layer, x: layer(x[:, None])[0][:, 0], nn.LSTM(32, CLASSES)), BY_ITSELF),  # n as time
        (lambda: Around(lambda layer, x: layer(x).squeeze()), SQUEEZED),
        (lambda: normed(nn.BatchNorm2d(4)), None),
        (lambda: normed(nn.InstanceNorm2d(4)), None),
        (lambda: normed(nn.GroupNorm(2, 4)), None),
        (lambda: zeroed(normed(nn.BatchNorm2d(4))), None),
        (lambda: Around(lambda layer, x: layer(x) * 0 + 1000), None),
        (lambda: Around(lambda layer, x: nn.functional.dropout(layer(x))), None),  # random, not for the others' sake
        (lambda: Around(lambda layer, x: layer(x) * float("nan")), "the network returned logits that are not finite"),
        (lambda: Around(lambda layer, x: layer(x) / (len(x) > 1)), "the network returned logits that are not finite"),
    ],
)  # fmt: skip
def test_an_image_is_judged_by_itself(build, said):
    assert problem(build) == said
