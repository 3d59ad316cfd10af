"""Who is taken for whom, worked by hand."""

import numpy as np
import pytest

from search.insight.mistakes import confusion_matrix, confusions, row_shares, worst_mistakes

LABELS = np.array([0, 0, 0, 1, 1, 2])
TAKEN = np.array([0, 1, 1, 1, 0, 0])
NAMES = ["bag", "shirt", "hat", "glove"]
MATRIX = [[1, 2, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_a_row_is_a_true_class_and_a_column_what_it_is_taken_for():
    matrix = confusion_matrix(LABELS, TAKEN, 4)
    assert matrix.tolist() == MATRIX
    assert row_shares(matrix)[0].tolist() == pytest.approx([1 / 3, 2 / 3, 0, 0])
    assert row_shares(matrix)[3].tolist() == [0, 0, 0, 0]


def test_the_most_frequent_confusions_come_first_and_the_greater_share_of_equals():
    found = confusions(np.array(MATRIX), NAMES, 3)
    assert [(one.true, one.taken_for, one.images, one.of) for one in found] == [
        ("bag", "shirt", 2, 3), ("hat", "bag", 1, 1), ("shirt", "bag", 1, 2),
    ]  # fmt: skip
    assert found[0].share == pytest.approx(2 / 3)
    assert confusions(np.array(MATRIX), NAMES, 1) == found[:1]


def test_the_worst_mistake_has_the_least_probability_for_its_class():
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.01, 0.99], [0.3, 0.7]])
    labels = np.array([1, 1, 1, 0])  # the third is right, whatever its other probability
    assert worst_mistakes(labels, probabilities, 5).tolist() == [1, 3, 0]
    assert worst_mistakes(labels, probabilities, 2).tolist() == [1, 3]
    assert worst_mistakes(labels[2:3], probabilities[2:3], 5).tolist() == []
