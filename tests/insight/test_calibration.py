"""The temperature: what it is for logits worked by hand, and what must hold for any."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.insight.calibration import (
    HIGHEST,
    LOWEST,
    calibrate,
    calibration_error,
    cross_entropy,
    fit_temperature,
    halves,
    reliability,
    softmax,
)
from search.insight.worth import calibrated


def drawn(seed, images=2000, classes=4, temperature=1.0):
    """Logits, and labels that follow softmax(logits) when logits are divided by `temperature`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (images, classes))
    labels = (softmax(logits).cumsum(axis=1) < rng.random((images, 1))).sum(axis=1)
    return logits * temperature, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_logits_were_multiplied_by_is_found(temperature):
    logits, labels = drawn(0, 20_000, temperature=temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_two_classes_by_hand():
    # of 100 images with logits (4, 0) 80 are right: calibrated where 1 / (1 + exp(-4 / T)) = 0.8, T = 4 / log(4);
    # one image's doubt in 102 moves the target to (0.8 * 101 + 0.5) / 102
    logits = np.tile([4.0, 0.0], (100, 1))
    labels = np.array([0] * 80 + [1] * 20)
    target = 0.8 * 101 / 102 + 0.5 / 102
    assert fit_temperature(logits, labels) == pytest.approx(4 / math.log(target / (1 - target)), rel=1e-3)


def test_where_all_images_are_right_the_temperature_stops_at_one_in_so_many():
    logits = np.tile([2.0, 0.0], (98, 1))
    temperature = fit_temperature(logits, np.zeros(98, dtype=int))
    assert softmax(logits / temperature)[0, 0] == pytest.approx(1 - 0.5 / 100, abs=1e-4)
    assert temperature > LOWEST


@given(st.integers(0, 10_000), st.floats(0.2, 5.0))
@settings(max_examples=30, deadline=None)
def test_scaled_logits_have_a_scaled_temperature_and_the_loss_of_those_images_falls(seed, scale):
    logits, labels = drawn(seed, 200, temperature=2.0)
    plain, scaled = fit_temperature(logits, labels), fit_temperature(logits * scale, labels)
    assert LOWEST <= plain <= HIGHEST
    if LOWEST * 1.1 < scaled < HIGHEST / 1.1:
        assert scaled == pytest.approx(plain * scale, rel=1e-2)
    assert cross_entropy(logits / plain, labels) <= cross_entropy(logits, labels) + 0.02


def test_an_overconfident_network_is_told_so_and_its_loss_falls():
    logits, labels = drawn(1, temperature=3.0)
    found = calibrate(logits, labels)
    assert found.temperature == pytest.approx(3.0, rel=0.15)
    assert found.val_loss_calibrated < found.val_loss
    assert found.calibration_error_calibrated < found.calibration_error / 2
    assert calibrated(vars(found)).startswith("overconfident: temperature ")


def test_where_the_halves_would_harm_each_other_the_temperature_is_one():
    logits = np.tile([[4.0, 0.0], [0.0, 4.0]], (20, 1))  # all right in one half, all wrong in the other
    found = calibrate(logits, np.zeros(40, dtype=int))
    assert found.temperature == 1.0
    assert found.val_loss_calibrated == found.val_loss


def test_an_image_of_weight_two_counts_as_two():
    logits, labels = drawn(2, 60, temperature=2.0)
    weights = np.ones(60)
    weights[7] = 2.0
    twice = np.append(np.arange(60), 7)
    assert cross_entropy(logits, labels, weights) == pytest.approx(cross_entropy(logits[twice], labels[twice]))
    weighted, repeated = fit_temperature(logits, labels, weights), fit_temperature(logits[twice], labels[twice])
    assert weighted == pytest.approx(repeated, rel=0.01)  # one image's doubt apart


def test_halves_share_every_class():
    labels = np.array([0, 1, 0, 1, 2, 2, 0, 0, 1])
    (first, second), _ = halves(labels)
    assert (first ^ second).all()
    for label in range(3):
        assert abs(int(first[labels == label].sum()) - int(second[labels == label].sum())) <= 1


@pytest.mark.parametrize("logits", [np.full((10, 3), np.nan), np.full((10, 3), np.inf), np.zeros((3, 3))])
def test_what_cannot_be_calibrated_is_left(logits):
    assert calibrate(logits, np.zeros(len(logits), dtype=int)) is None


def test_bins_and_their_error_by_hand():
    # confidences 0.9, 0.9 (one right) and 0.6 (right): |0.9 - 0.5| * 2/3 + |0.6 - 1| * 1/3
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])
    labels = np.array([0, 1, 1])
    assert calibration_error(probabilities, labels) == pytest.approx(0.4)
    assert [(one.images, one.accuracy) for one in reliability(probabilities, labels)] == [(1, 1.0), (2, 0.5)]
    assert [one.images for one in reliability(np.array([[1.0, 0.0]]), np.array([0]))] == [1]  # in the last bin
