"""What is said of the chosen configuration's worth, and of the race."""

import pytest

from search.choice.rivals import Rivals
from search.insight.worth import expectation, optimism, raced, source

PLACED = [
    {"trial": 7, "recorded": 0.02, "val_loss": 0.05, "gap": 0.01, "rounds": 1, "left": False},
    {"trial": 3, "recorded": 0.01, "val_loss": 0.04, "gap": 0.01, "rounds": 2, "left": True},
    {"trial": 5, "recorded": 0.03, "val_loss": 0.035, "gap": 0.01, "rounds": 2, "left": True},
    {"trial": 9, "recorded": 0.03, "val_loss": None, "gap": None, "rounds": 1, "left": False},
]


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (0, "of the seeds that it was chosen by, whose luck is still in it"),
        (1, "from a seed that chose nothing"),
        (2, "from 2 seeds that chose nothing"),
    ],
)
def test_where_the_expected_figures_come_from(seeds, words):
    assert source(seeds) == words
    found = {"loss": 0.1, "loss_interval": [0.05, 0.2], "accuracy": 0.9, "gap": -0.01, "seeds": seeds}
    figures = "loss 0.1000 (90%: 0.0500 to 0.2000), gap -0.0100, accuracy 90.0%"
    assert expectation(found, Rivals()) == f"{figures}, {words}"
    assert expectation(found, Rivals(0.5)) == f"{figures} (linear baseline 50.0%), {words}"


def test_the_race_in_a_line():
    assert raced([]) == []
    assert raced(PLACED) == [
        "race with fresh seeds, mean val_loss (recorded) and mean gap: trial 5 0.0350 (0.0300) gap 0.0100, "
        "trial 3 0.0400 (0.0100) gap 0.0100; out: trial 7 0.0500 (0.0200) gap 0.0100, trial 9 failed (0.0300)"
    ]


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (0.0131, "+0.0131 ± 0.0130, which may be noise"),
        (0.027, "+0.0270 ± 0.0130: it was too optimistic"),
        (-0.027, "-0.0270 ± 0.0130: it was too pessimistic"),
    ],
)
def test_optimism_is_called_so_beyond_two_standard_errors(difference, words):
    confirmed = {"optimism": difference, "exported_test_loss_se": 0.003, "test_loss_se": 0.004}
    assert optimism(confirmed, {"val_loss_se": 0.012}) == f"optimism of the search {words}"


def test_a_confirmation_that_tells_its_error_is_believed():
    assert optimism({"optimism": 0.05, "optimism_se": 0.03}, {"val_loss_se": 0.001}).endswith("which may be noise")
    one_seed = {"optimism": 0.05, "test_loss_se": None}
    assert optimism(one_seed, {"val_loss_se": 0.01}).endswith("+0.0500 ± 0.0100: it was too optimistic")
