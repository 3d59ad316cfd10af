"""What is said of the chosen configuration's worth, and of the race."""

import pytest

from search.insight.worth import expectation, raced, source

PLACED = [
    {"trial": 7, "recorded": 0.02, "val_loss": 0.05, "gap": 0.01, "rounds": 1, "left": False},
    {"trial": 3, "recorded": 0.01, "val_loss": 0.04, "gap": 0.01, "rounds": 2, "left": True},
    {"trial": 5, "recorded": 0.03, "val_loss": 0.035, "gap": 0.01, "rounds": 2, "left": True},
    {"trial": 9, "recorded": 0.03, "val_loss": None, "gap": None, "rounds": 1, "left": False},
]


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (0, "of the recorded seed, whose luck is still in it"),
        (1, "from a seed that chose nothing"),
        (2, "from 2 seeds that chose nothing"),
    ],
)
def test_where_the_expected_figures_come_from(seeds, words):
    assert source(seeds) == words
    found = {"loss": 0.1, "loss_interval": [0.05, 0.2], "accuracy": 0.9, "gap": -0.01, "seeds": seeds}
    assert expectation(found) == f"loss 0.1000 (90%: 0.0500 to 0.2000), gap -0.0100, accuracy 90.0%, {words}"


def test_the_race_in_a_line():
    assert raced([]) == []
    assert raced(PLACED) == [
        "race with fresh seeds, mean val_loss (recorded): trial 5 0.0350 (0.0300), trial 3 0.0400 (0.0100); "
        "out: trial 7 0.0500 (0.0200), trial 9 failed (0.0300)"
    ]
