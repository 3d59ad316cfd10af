"""The three small CNNs on random images."""

import torch

from search.training.memorize import Memorized
from studies.benchmarks.memorize import NETWORKS, build, random_images, row


def test_the_images_are_noise_in_two_classes_of_ten():
    data = random_images(3)
    assert data.images.shape == (20, 3, 64, 64)
    assert torch.bincount(data.labels).tolist() == [10, 10]
    assert abs(float(data.normalize(data.pixels(data.train)).std()) - 1) < 0.01
    assert torch.equal(data.images, random_images(3).images)


def test_every_network_takes_them():
    for filters in NETWORKS.values():
        model = build({"filters": filters}, channels=3, image_size=(64, 64), classes=2)
        assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 2)
        assert sum(isinstance(layer, torch.nn.Conv2d) for layer in model) == len(filters)


def test_a_row_by_hand():
    found = [Memorized(4, 1.0, 0.5), Memorized(10, 1.0, 0.5), Memorized(300, 0.95, 0.5)]
    assert row("one", found) == "| one | 2 of 3 | 10 (4 to 300) | 95% |"
