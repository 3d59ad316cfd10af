"""Memorizing a few images, without regularization."""

from dataclasses import replace

import pytest
import torch
from builders import CONFIG
from torch import nn

from search.training import memorize as memorizing
from search.training.memorize import IMAGES, Memorized, few_images, memorize, with_random_labels
from spaces import cnn

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def few(digits):
    return few_images(digits.to(CPU), seed=0)


def blind(config, *, channels, image_size, classes):
    """A network that sees nothing of its images."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Threshold(1e9, 0.0), nn.Linear(channels, classes))


def test_a_network_that_can_does_so_with_random_labels_too(few):
    strong = CONFIG | {"dropout": 0.9, "weight_decay": 100.0, "augmentation": 1.0}  # all of it is taken away
    for images in (few, with_random_labels(few, seed=0)):
        found = memorize(cnn.build, strong, images, seed=0)
        assert found.all_right
        assert found.steps < 100


def test_one_that_cannot_ends_with_its_steps(few, monkeypatch):
    monkeypatch.setattr(memorizing, "MOST_STEPS", 5)
    found = memorize(blind, {}, few, seed=0)
    assert (found.steps, found.accuracy, found.all_right) == (5, 0.1, False)


def test_one_whose_loss_is_not_finite_ends_at_once(few):
    found = memorize(cnn.build, CONFIG | {"learning_rate": 1e30}, few, seed=0)
    assert not found.all_right
    assert found.steps < 5


def test_as_many_of_each_class_as_can_be(few):
    assert len(few.train) == IMAGES
    assert torch.bincount(few.labels[few.train]).tolist() == [2] * 10


def test_no_image_is_drawn_twice(digits):
    data = digits.to(CPU)
    same = data.images.clone()
    same[data.train[3:]] = same[data.train[0]].clone()
    few = few_images(replace(data, images=same), seed=0)
    assert len({same[index].numpy().tobytes() for index in few.train}) == len(few.train) == 3


def test_random_labels_are_of_the_train_split_alone(few):
    drawn = with_random_labels(few, seed=1)
    others = torch.ones(len(few.labels), dtype=torch.bool)
    others[few.train] = False
    assert torch.equal(drawn.labels[others], few.labels[others])
    assert not torch.equal(drawn.labels[few.train], few.labels[few.train])
    assert torch.equal(drawn.labels, with_random_labels(few, seed=1).labels)


def test_all_right_is_every_image():
    assert Memorized(3, 1.0, 2.0).all_right
    assert not Memorized(3, 0.95, 0.0).all_right
