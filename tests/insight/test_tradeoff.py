"""What a smaller gap costs."""

import pytest
from ended_trials import ended

from search.choice.fit import Fit
from search.insight.tradeoff import tradeoff
from search.stopping.stopped import Stopped

# loss, gap: the lowest loss is 1, so trial 4 is beyond a tenth of it
TRIALS = [
    *(ended(number, *figures) for number, figures in enumerate([(1, 0.4), (1.015, 0.3), (1.05, 0.35), (1.09, 0.1)])),
    ended(4, 1.2, 0.0),
]


@pytest.mark.parametrize(
    ("trials", "listed"),
    [
        pytest.param(TRIALS, [(0, 0), (0.02, 1), (0.05, 1), (0.10, 3)], id="by hand"),
        pytest.param([*TRIALS, ended(5, 0.5, 0.0, fit=Fit.UNDERFIT)], [(0, 0), (0.02, 1), (0.05, 1), (0.10, 3)],
                     id="an infeasible one is not there"),
        pytest.param([*TRIALS, ended(5, 0.5, 0.0, pruned=True, stopped=Stopped.HOPELESS)],
                     [(0, 0), (0.02, 1), (0.05, 1), (0.10, 3)], id="nor one that was pruned"),
        pytest.param([ended(0, 1, -0.5), ended(1, 1.01, -0.7)], [(0, 0), (0.02, 0), (0.05, 0), (0.10, 0)],
                     id="below zero a gap counts as zero"),
        pytest.param([ended(0, 1.01, -0.5), ended(1, 1, -0.1)], [(0, 1), (0.02, 1), (0.05, 1), (0.10, 1)],
                     id="of those below zero the lowest loss"),
        pytest.param([ended(5, 0.5, 0.0, fit=Fit.UNDERFIT)], [], id="nothing feasible"),
        pytest.param([], [], id="nothing"),
    ],
)  # fmt: skip
def test_the_smallest_gap_within_each_share_of_the_lowest_loss(trials, listed):
    assert [(allowed, trial.number) for allowed, trial in tradeoff(trials)] == listed
