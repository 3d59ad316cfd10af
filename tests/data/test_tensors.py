"""What training sees of the images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from search.data import datasets, tensors
from search.data.tensors import held_out, prepare


def test_normalization_is_that_of_the_train_split(digits):
    pixels = digits.to(torch.device("cpu"))
    normalized = pixels.normalize(pixels.pixels(pixels.train))
    assert normalized.mean().abs() < 1e-5
    assert (normalized.std(correction=0) - 1).abs() < 1e-5
    other = prepare(datasets.load("digits", "train", Path("data")), train_size=400, val_size=200, seed=9, flip=False)
    assert other.mean != digits.mean


def test_classes_are_weighed_by_their_frequency_in_the_train_split(digits):
    source = datasets.load("digits", "train", Path("data"))
    data = prepare(source, train_size=397, val_size=200, seed=0, flip=False, balance=True)
    counts = np.bincount(data.labels[data.splits.train])
    assert data.class_weights * counts == pytest.approx(np.full(10, 39.7))
    assert data.description()["train_counts"] == counts.tolist()
    on_device = data.to(torch.device("cpu"))
    assert on_device.class_weights.tolist() == data.class_weights.tolist()
    assert (on_device.uneven, digits.class_weights) == (False, None)
    test = held_out(datasets.load("digits", "test", Path("data")), data)
    assert test.class_weights is data.class_weights


def test_what_is_sent_to_another_machine_needs_no_file(digits):
    sent = replace(digits.with_content(), images=Path("not here"))
    ours, theirs = digits.to(torch.device("cpu")), sent.to(torch.device("cpu"))
    assert torch.equal(ours.images, theirs.images)
    assert torch.equal(ours.labels, theirs.labels)


def test_the_figures_of_the_channels_are_the_same_however_few_images_are_read_at_once(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (31, 3, 5, 4), np.uint8)
    images[:, 2] = 7  # a channel that never changes
    chosen = np.arange(3, 30)
    pixels = images[chosen] / 255
    for size in (10**6, 60, 1):
        monkeypatch.setattr(tensors, "CHUNK_BYTES", size)
        mean, std = tensors._channel_statistics(images, chosen)
        assert mean == pytest.approx(pixels.mean(axis=(0, 2, 3)), rel=1e-12)
        assert std == pytest.approx([*pixels[:, :2].std(axis=(0, 2, 3)), 1.0], rel=1e-12)
