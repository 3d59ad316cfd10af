"""A configuration trained again: what is said of the difference."""

from types import SimpleNamespace

import pytest
import torch

from search.use.retrain import _compare


@pytest.mark.parametrize(
    ("recorded", "again", "device", "same", "words"),
    [
        (0.1, 0.1, "cpu", True, "reproduced to the last digit: val_loss 0.1, gap 0.05"),
        (0.1, 0.102, "cpu", False, "recorded val_loss 0.1, now 0.102: a difference of +2.00%"),
        (0.1, 0.102, "cuda", True, "a difference of +2.00%"),
        (0.1, 0.106, "cuda", False, "a difference of +6.00%"),
        (0.0, 0.0, "cpu", True, "reproduced to the last digit: val_loss 0.0"),
        (0.0, 1e-9, "cuda", False, "recorded val_loss 0.0, now 1e-09: a difference of +1e-09"),
    ],
)
def test_the_difference(said, recorded, again, device, same, words):
    best = SimpleNamespace(metrics={"val_loss": recorded, "gap": 0.05}, environment={"hardware": "x", "torch": "2"})
    assert _compare(best, SimpleNamespace(val_loss=again, gap=0.05), torch.device(device)) is same
    assert words in said()
