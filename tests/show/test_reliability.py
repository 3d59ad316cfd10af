"""The reliability diagram."""

from dataclasses import replace

import numpy as np
import pytest

from search.results.predictions import VALIDATION, Predictions, save
from search.show.reliability import reliability_diagram, reliability_of

# two images at 90% confidence, one of them right; one at 60%, right
LOGITS = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])).astype(np.float32)
THREE = Predictions("", np.arange(3), np.array([0, 1, 1]), LOGITS)


def test_a_point_for_each_bin_says_how_often_its_images_are_right():
    curve, diagonal = reliability_diagram(THREE, temperature=1.0).data
    assert curve.x == pytest.approx([0.6, 0.9], abs=1e-4)
    assert curve.y == (1.0, 0.5)
    assert list(curve.customdata) == [1, 2]
    assert (diagonal.x, diagonal.y) == ((0, 1), (0, 1))


def test_a_temperature_adds_a_curve_of_less_confidence():
    plain, divided, _ = reliability_diagram(THREE, temperature=2.0).data
    assert divided.name == "temperature 2.00"
    assert max(divided.x) == pytest.approx(3 / 4, abs=1e-4)  # 0.9 / 0.1 = 9 to 1 becomes 3 to 1
    assert max(divided.x) < max(plain.x)


def test_the_report_tells_of_the_calibration_of_the_weights_that_are_there(tmp_path):
    save(tmp_path, VALIDATION, replace(THREE, weights_sha256="a" * 64))
    content = {"calibration": {"temperature": 2.0}, "weights_sha256": "a" * 64}
    assert len(reliability_of(tmp_path, content).data) == 3
    assert reliability_of(tmp_path, content | {"weights_sha256": "b" * 64}) is None
    assert reliability_of(tmp_path, {"weights_sha256": "a" * 64}) is None
