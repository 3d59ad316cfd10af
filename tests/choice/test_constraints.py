"""What a run must respect."""

import pytest

from search.choice.constraints import Constraints


@pytest.mark.parametrize(
    ("constraints", "val_loss", "gap", "violations", "met"),
    [
        (Constraints(0.5, max_gap=0.25), 0.75, 0.125, {"baseline": 0.5, "max_gap": -0.125}, False),
        (Constraints(0.5, max_gap=0.25), 0.25, 0.5, {"baseline": -0.5, "max_gap": 0.25}, False),
        (Constraints(0.5, max_gap=0.25), 0.5, 0.25, {"baseline": 0.0, "max_gap": 0.0}, True),
        (Constraints(0.5, max_gap=0.0), 0.25, 0.125, {"baseline": -0.5, "max_gap": 0.125}, False),  # 0 is a ceiling
        (Constraints(0.5), 0.25, 9.0, {"baseline": -0.5}, True),
    ],
)
def test_they_are_missed_by_a_share_of_the_baseline_and_by_nats_of_gap(constraints, val_loss, gap, violations, met):
    assert constraints.violations(val_loss, gap) == violations
    assert constraints.met(val_loss, gap) is met
