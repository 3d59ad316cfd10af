"""The rule of divergence, worked by hand."""

import math

import numpy as np
import pytest

from search.stopping import DivergedRule

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("train", "val", "best", "said"),
    [
        (NAN, 0.3, 1, "training loss is nan"),
        (INF, 0.3, 1, "training loss is inf"),
        (-INF, 0.3, 1, "training loss is -inf"),
        (0.5, NAN, 1, "validation loss is nan"),
        (0.5, INF, 1, "validation loss is inf"),
        (0.5, -INF, 1, "validation loss is -inf"),
        (7.0, 0.3, 2, "training loss is 7"),
        (0.5, 7.0, 1, "validation loss is 7"),
    ],
)
def test_a_diverged_run_stops_and_keeps_its_best_epoch(train, val, best, said):
    rule = DivergedRule(classes=2, factor=10.0)  # ten times ln 2 is 6.93
    assert not rule.update(1.0, 6.9).stop
    assert not rule.update(6.9, 0.4).stop
    decision = rule.update(train, val)
    assert (decision.stop, decision.best_epoch, decision.reason) == (True, best, said)


def test_divergence_shows_in_a_single_image():
    assert DivergedRule(classes=10).update(np.ones(4), np.array([1.0, 1.0, 1.0, NAN])).stop
