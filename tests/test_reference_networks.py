"""The fixed networks of introductions to overfitting."""

import math

import pytest
import torch
from torch import nn

from search.recording.start import first_trials
from search.settings import Settings
from search.training.recipe import Recipe
from spaces import reference

GREY, COLOUR = (1, 28, 28), (3, 32, 32)


def network(name, shape, classes=10, device="meta"):
    with torch.device(device):
        return reference.build(reference.config(name), channels=shape[0], image_size=shape[1:], classes=classes)


def layers(model, kind):
    return [layer for layer in model.modules() if isinstance(layer, kind)]


@pytest.mark.parametrize(
    ("name", "shape", "count"),
    [
        ("fashion_plain", GREY, (9 * 32 + 32) + (14 * 14 * 32 + 1) * 10),
        ("fashion_dropout", GREY, (9 * 32 + 32) + (14 * 14 * 32 + 1) * 128 + 129 * 10),
        ("cifar10_mlp", COLOUR, 3073 * 75 + 76 * 50 + 51 * 50 + 51 * 10 + 2 * (75 + 50 + 50)),
        ("cifar10_simple", COLOUR, 323_146),  # which its text names
        ("cifar10_large", COLOUR, 1_578_282),  # where its text names 1,579,178
        ("cifar100_mlp", COLOUR, 3073 * 256 + 257 * 128 + 129 * 10 + 2 * (256 + 128)),
    ],
)
def test_how_many_parameters(name, shape, count):
    assert sum(parameter.numel() for parameter in network(name, shape).parameters()) == count


@pytest.mark.parametrize("name", reference.NETWORKS)
@pytest.mark.parametrize("shape", [GREY, COLOUR, (1, 8, 8), (3, 17, 23), (1, 5, 40), (3, 224, 224)])
def test_any_image_fits(name, shape):
    model = network(name, shape, classes=7)
    assert model(torch.empty(2, *shape, device="meta")).shape == (2, 7)
    assert sum(parameter.numel() for parameter in model.parameters()) < 20e6


@pytest.mark.parametrize("name", reference.NETWORKS)
def test_every_weight_gets_a_gradient(name):
    torch.manual_seed(0)
    model = network(name, (3, 8, 8), device="cpu").eval()
    nn.functional.cross_entropy(model(torch.randn(16, 3, 8, 8)), torch.arange(16) % 10).backward()
    assert all(parameter.grad.any() for parameter in model.parameters() if parameter.ndim > 1)


def test_layers_are_those_of_the_text():
    simple = network("cifar10_simple", COLOUR)
    convolutions = [(one.out_channels, *one.kernel_size) for one in layers(simple, nn.Conv2d)]
    assert convolutions == [(width, k, k) for width, k in ((32, 3), (64, 2), (128, 3)) for _ in range(2)]
    assert [one.p for one in layers(simple, nn.Dropout)] == [0.4, 0.4, 0.5, 0.3]
    assert [one.num_features for one in layers(simple, nn.BatchNorm2d)] == [32, 32, 64, 64, 128, 128]
    large = network("cifar10_large", COLOUR)
    assert [one.out_channels for one in layers(large, nn.Conv2d)] == [64, 64, 128, 128, 256, 256, 128, 128, 64, 64]
    assert all(one.p == 0 for one in layers(large, nn.Dropout))
    assert layers(large, nn.BatchNorm2d) == []
    augmented = network("cifar100_augmented", COLOUR)
    assert [one.out_channels for one in layers(augmented, nn.Conv2d)] == [64] * 2 + [128] * 3 + [256] * 3
    assert [one.in_features for one in layers(augmented, nn.Linear)] == [4 * 4 * 256, 512]
    assert [len(layers(model, nn.MaxPool2d)) for model in (simple, large, augmented)] == [3, 5, 3]


def test_initial_weights_are_glorot_s():
    """Uniform with a deviation of sqrt(2 / (fan_in + fan_out)); torch's own would be smaller here."""
    torch.manual_seed(0)
    for layer in layers(network("cifar10_large", COLOUR, device="cpu"), nn.Conv2d)[1:]:
        fans = layer.weight[0, 0].numel() * (layer.in_channels + layer.out_channels)
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / fans), rel=0.02)
        assert not layer.bias.any()


def test_what_training_reads():
    recipes = {name: Recipe.of(reference.config(name)) for name in reference.NETWORKS}
    assert all(one.weight_decay == 0 for one in recipes.values())  # AdamW is Adam then
    assert [name for name, one in recipes.items() if one.augmentation] == ["fashion_augmented", "cifar100_augmented"]
    assert recipes["cifar10_mlp"].learning_rate == 1e-4
    assert (recipes["cifar10_large"].batch_size, recipes["cifar10_large"].learning_rate) == (64, 1e-3)
    assert recipes["cifar100_augmented"].batch_size == 128


def test_a_search_tries_each_of_them_first():
    first = first_trials(Settings("s", "digits", space="reference"), reference.suggest)
    assert [one.params for one in first] == [{"network": name} for name in reference.NETWORKS]
