"""What is told to Optuna of a trial that has ended."""

import pytest
from builders import EASY, outcome
from optuna.trial import TrialState

from search.choice.constraints import Constraints
from search.engine.ending import state_of
from search.results.trial_result import TrialResult
from search.stopping.stopped import Stopped


@pytest.mark.parametrize(
    ("stopped", "constraints", "state"),
    [
        (Stopped.FINISHED, EASY, TrialState.COMPLETE),
        (Stopped.OVERFIT, EASY, TrialState.COMPLETE),
        (Stopped.DIVERGED, EASY, TrialState.COMPLETE),
        (Stopped.HOPELESS, EASY, TrialState.PRUNED),
        (Stopped.FINISHED, Constraints(0.4), TrialState.PRUNED),  # no better than the linear baseline
        (Stopped.FINISHED, Constraints(0.7, max_gap=0.05), TrialState.PRUNED),
        (Stopped.OVERFIT, Constraints(0.4), TrialState.PRUNED),
    ],
)
def test_only_runs_that_may_be_chosen_are_complete(stopped, constraints, state):
    assert state_of(outcome(stopped=stopped, constraints=constraints), []) == state


def test_one_that_finished_is_a_result_all_the_same():
    run = outcome(constraints=Constraints(0.4)).run
    assert not run.feasible
    assert TrialResult(0, "PRUNED", run, Stopped.FINISHED).complete
    assert not TrialResult(0, "PRUNED", run, Stopped.OVERFIT).complete
    assert not TrialResult(0, "PRUNED", None, Stopped.FINISHED).complete
    assert not TrialResult(0, "PRUNED", run, Stopped.FINISHED, replaced_by=1).complete
