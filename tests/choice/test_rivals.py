"""The accuracies that a chosen network is held against."""

import pytest

from search.choice.rivals import Rivals


@pytest.mark.parametrize(
    ("rivals", "unbeaten"),
    [
        (Rivals(), {}),  # of an older release
        (Rivals(0.6, 0.5), {}),
        (Rivals(0.7, 0.5), {"linear baseline": 0.7}),  # as good is not better
        (Rivals(0.711, 0.51), {"linear baseline": 0.711}),
        (Rivals(0.6, 0.9), {"largest class": 0.9}),
        (Rivals(None, 0.9), {"largest class": 0.9}),
        (Rivals(0.8, 0.9), {"linear baseline": 0.8, "largest class": 0.9}),
    ],
)
def test_a_network_must_be_better(rivals, unbeaten):
    assert rivals.unbeaten(0.7) == unbeaten


@pytest.mark.parametrize("rivals", [Rivals(0.6, 0.5, 0.4), Rivals(0.6, 0.5), Rivals()])
def test_best_yaml_keeps_them(rivals):
    assert Rivals.recorded(rivals.as_dict()) == rivals
    assert ("baseline_balanced_accuracy" in rivals.as_dict()) == (rivals.baseline_balanced is not None)
