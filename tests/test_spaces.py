"""The families of networks, and what training reads of a configuration."""

import importlib
import inspect
import itertools
import math
from pathlib import Path

import optuna
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search.checks.corners import corners
from search.data import datasets
from search.data.tensors import prepare
from search.errors import BadTrial
from search.measurement import measure
from search.recording.start import first_trials
from search.settings import Settings
from search.spaces import BUILT_IN, suggester
from search.training.linear_baseline import fit_baseline
from search.training.precision import PLAIN
from search.training.recipe import Recipe
from search.training.trainer import Trainer

FAMILIES = ("cnn", "mlp", "resnet")
SIZES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 17, 23), (1, 5, 40)]
TRAINED = {"batch_size", "weight_decay", "augmentation", "learning_rate"}
BUILT = {"depth", "width", "dropout"}


def family(name):
    return importlib.import_module(f"spaces.{name}")


def config_at(name, place):
    """The configuration with every parameter at that place of its range: 0 lowest, 0.5 middle, 1 highest."""
    points = {point.corner.rest: point for point in corners(family(name).suggest) if not point.corner.places}
    return points[place].config


def network(name, config, shape=(1, 8, 8), classes=10, device="meta"):
    with torch.device(device):
        return family(name).build(config, channels=shape[0], image_size=shape[1:], classes=classes)


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_built_in_families():
    assert {*BUILT_IN} == {*FAMILIES, "pretrained", "reference"}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("place", [0.0, 0.5])
def test_forward_and_backward(name, shape, place):
    torch.manual_seed(0)
    model = network(name, config_at(name, place) | {"dropout": 0.0}, shape, classes=7, device="cpu")
    logits = model(torch.randn(4, *shape))
    assert logits.shape == (4, 7)
    torch.nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key


@pytest.mark.parametrize("name", FAMILIES)
def test_photographs(name):
    shape = (3, 224, 224)
    small = network(name, config_at(name, 0.0), shape, device="cpu")
    small(torch.randn(2, *shape)).sum().backward()
    assert parameters(network(name, config_at(name, 1.0), shape)) < 20e6


@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_depth_and_width(data):
    name = data.draw(st.sampled_from(FAMILIES))
    ranges = family(name).Ranges()
    config = config_at(name, 0.5) | {
        key: data.draw(st.integers(*getattr(ranges, key)), label=key) for key in ("depth", "width")
    }
    if name != "mlp":
        config["kernel_size"] = data.draw(st.sampled_from([3, 5, 7]))
    shape = (data.draw(st.sampled_from([1, 3])), data.draw(st.integers(4, 90)), data.draw(st.integers(4, 90)))
    model = network(name, config, shape)
    assert model(torch.empty(2, *shape, device="meta")).shape == (2, 10)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("shape", SIZES)
def test_parameters_grow(name, shape):
    ranges, config = family(name).Ranges(), config_at(name, 0.5)
    for key in ("depth", "width"):
        low, high = getattr(ranges, key)
        sizes = [parameters(network(name, config | {key: value}, shape)) for value in range(low, high + 1)]
        assert all(smaller < larger for smaller, larger in itertools.pairwise(sizes)), key


@pytest.mark.parametrize("name", FAMILIES)
def test_every_parameter_matters(name):
    """Each is read by training, or else changes the network."""
    low, high = config_at(name, 0.0), config_at(name, 1.0)
    assert low.keys() == TRAINED | BUILT | ({"kernel_size"} if name != "mlp" else set())
    for key in low:
        if key in TRAINED:
            assert getattr(Recipe.of(low), key) == low[key] != high[key]
        else:
            assert str(network(name, low)) != str(network(name, low | {key: high[key]})), key


@pytest.mark.parametrize("name", FAMILIES)
def test_ranges_are_kept_to(name):
    narrow = family(name).Ranges(width=(9, 10), dropout=(0.1, 0.2))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        config = family(name).suggest(study.ask(), narrow)
        assert config["width"] in (9, 10)
        assert 0.1 <= config["dropout"] <= 0.2


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_tried_first_lies_within_the_ranges_and_names_every_parameter(name):
    named = [trial.params for trial in first_trials(Settings("s", "digits", space=name), family(name).suggest)]
    assert named == family(name).start()
    assert 1 <= len(named) <= 5
    assert all(one.keys() == config_at(name, 0.0).keys() for one in named)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("shape", SIZES)
def test_what_is_tried_first_works_on_any_image(name, shape):
    for config in family(name).start():
        assert network(name, config, shape)(torch.empty(2, *shape, device="meta")).shape == (2, 10)


@pytest.mark.parametrize("name", FAMILIES)
def test_no_adaptive_pooling(name):
    """Its gradient on CUDA differs from run to run."""
    assert "Adaptive" not in str(network(name, config_at(name, 1.0)))


@pytest.mark.parametrize(
    ("side", "depth", "maps"),
    [  # channels over width, side of the maps after each block
        (8, 2, [(1, 8), (2, 4)]),
        (32, 1, [(1, 32)]),
        (32, 4, [(1, 32), (1, 32), (2, 16), (4, 8)]),
        (7, 3, [(1, 7), (2, 7), (4, 7)]),
        (224, 3, [(1, 56), (2, 28), (4, 14)]),
    ],
)
def test_residual_stages(side, depth, maps):
    model = network("resnet", config_at("resnet", 0.0) | {"depth": depth, "width": 6}, (3, side, side))
    seen = []
    for layer in model:
        if type(layer).__name__ == "Block":
            layer.register_forward_hook(lambda layer, inputs, output: seen.append(tuple(output.shape[1:])))
    model(torch.empty(2, 3, side, side, device="meta"))
    assert seen == [(6 * times, size, size) for times, size in maps]


def test_residual_block_begins_as_its_shortcut():
    block = family("resnet").Block(4, 4, 3, 1, 0.5).eval()
    torch.nn.init.zeros_(block.residual[-1].weight)
    maps = torch.randn(2, 4, 6, 5)
    assert torch.equal(block(maps), maps)


def test_mlp_sees_photographs_made_small():
    first = next(layer for layer in network("mlp", config_at("mlp", 0.0), (3, 224, 200)) if hasattr(layer, "weight"))
    assert first.in_features == 3 * 32 * 28


@pytest.fixture(scope="module")
def digits():
    source = datasets.load("digits", "train", Path("data"))
    return prepare(source, train_size=None, val_size=None, seed=0, flip=False).to(torch.device("cpu"))


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("resnet", {"depth": 2, "width": 12, "kernel_size": 3, "dropout": 0.1}),
        ("mlp", {"depth": 1, "width": 128, "dropout": 0.1}),
    ],
)
def test_beats_softmax_regression(name, config, digits):
    recipe = {"batch_size": 32, "weight_decay": 0.01, "augmentation": 0.1, "learning_rate": 5e-3}
    trainer = Trainer(family(name).build, config | recipe, digits, seed=0, precision=PLAIN)
    for _ in range(8):
        epoch = trainer.epoch()
    assert measure(epoch.train, epoch.val).val_loss < 0.9 * fit_baseline(digits).val_loss


def test_recipe_defaults_are_adamw_s():
    torch_s = inspect.signature(torch.optim.AdamW).parameters
    assert Recipe.of({"depth": 3}) == Recipe(128, torch_s["weight_decay"].default, torch_s["lr"].default, 0.0)


@pytest.mark.parametrize(
    ("key", "value"),
    [("batch_size", 0), ("weight_decay", -1.0), ("learning_rate", "1e-3"), ("augmentation", math.nan)],
)
def test_recipe_refuses(key, value):
    with pytest.raises(ValueError, match=f"^{key} is "):
        Recipe.of({key: value})


def test_a_range_that_cannot_be_drawn_from_is_named():
    suggest = suggester("spaces.cnn", {"learning_rate": (0, 1)})
    with pytest.raises(BadTrial, match=r"failed with the ranges learning_rate=\(0, 1\): ValueError: .*; mend that"):
        suggest(optuna.create_study().ask())
