"""Seed noise: by how much trainings of one configuration differ."""

import math

import pytest
from builders import exact_run, measurement

from search.choice.seed_noise import Repeat, failed_repeat, repeat_of, seed_std

RUNS = [exact_run(0, 1.0), exact_run(1, 1.01), exact_run(2, 1.02)]


def repeat(trial, index, val_loss):
    return Repeat(trial, index, index, val_loss, 0.5, 0.9, 0.95, 1)


def test_the_standard_deviation_by_hand():
    repeats = [repeat(0, 1, 1.2), repeat(0, 2, 1.1), repeat(1, 1, 1.05)]
    # trial 0: 1.0, 1.2, 1.1 -> squares 0.02, 2 degrees of freedom; trial 1: 1.01, 1.05 -> 0.0008, 1 degree
    assert seed_std(RUNS, repeats) == pytest.approx(math.sqrt(0.0208 / 3))


def test_without_a_repeat_nothing_is_known():
    assert seed_std(RUNS, []) is None
    assert seed_std(RUNS, [failed_repeat(0, 1, 1, 5)]) is None
    assert seed_std(RUNS, [repeat(99, 1, 1.0)]) is None


def test_a_repeat_tells_what_was_measured_or_that_it_failed():
    found = repeat_of(3, 2, 77, measurement(0.5, 0.1), epochs=9)
    assert (found.trial, found.index, found.seed, found.epochs) == (3, 2, 77, 9)
    assert (found.val_loss, found.gap, found.failed) == (0.5, pytest.approx(0.1), False)
    assert repeat_of(3, 2, 77, measurement(math.nan, 0.1), epochs=9) == failed_repeat(3, 2, 77, 9)
    assert failed_repeat(3, 2, 77, 9).failed
