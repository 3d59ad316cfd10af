"""What training sees of the images."""

from pathlib import Path

import torch

from search.data import datasets
from search.data.tensors import prepare


def test_normalization_is_that_of_the_train_split(digits):
    pixels = digits.to(torch.device("cpu"))
    normalized = pixels.normalize(pixels.pixels(pixels.train))
    assert normalized.mean().abs() < 1e-5
    assert (normalized.std(correction=0) - 1).abs() < 1e-5
    other = prepare(datasets.load("digits", "train", Path("data")), train_size=400, val_size=200, seed=9, flip=False)
    assert other.mean != digits.mean
