"""Recall and precision of single classes, worked by hand."""

import math

import numpy as np
import pytest

from search.insight.per_class import per_class

LABELS = np.array([0, 0, 1, 1, 2])
TWICE = np.array([[0, 1, 1, 1, 2], [0, 0, 1, 0, 2]])  # two trainings
NAMES = ["bag", "shirt", "hat"]


def test_means_over_trainings_the_worst_first():
    bag, shirt, hat = per_class(LABELS, TWICE, NAMES)
    assert [(one.name, one.support, one.recall) for one in (bag, shirt, hat)] == [
        ("bag", 2, 0.75), ("shirt", 2, 0.75), ("hat", 1, 1.0),
    ]  # fmt: skip
    assert bag.precision == pytest.approx((1 + 2 / 3) / 2)  # one taken for a bag, then three
    assert shirt.precision == pytest.approx((2 / 3 + 1) / 2)
    assert bag.f1 == pytest.approx((2 * 1 / (2 + 1) + 2 * 2 / (2 + 3)) / 2)
    share = (1.5 + 2) / (2 + 4)
    assert bag.recall_se == pytest.approx(math.hypot(math.sqrt(share * (1 - share) / 6), 0.25))


def test_a_class_that_is_always_right_has_an_error_too():
    hat = per_class(LABELS, TWICE, NAMES)[2]
    assert hat.recall_se == pytest.approx(math.sqrt(3 / 5 * 2 / 5 / 5))


def test_a_class_that_nothing_is_taken_for_has_no_precision():
    worst = per_class(LABELS, np.array([[1, 1, 1, 1, 2]]), NAMES)[0]
    assert (worst.name, worst.recall, worst.precision, worst.precision_se) == ("bag", 0.0, None, None)
    assert worst.f1 == 0.0


def test_a_class_without_images_is_left_out():
    assert [one.name for one in per_class(LABELS, TWICE, [*NAMES, "glove"])] == ["bag", "shirt", "hat"]
