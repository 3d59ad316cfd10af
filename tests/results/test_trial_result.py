"""A trial as it is read back from the study."""

from dataclasses import replace

import optuna
import pytest
from builders import EASY, exact_run, history, numbers, run, trial
from optuna.trial import TrialState

from search.choice.constraints import Constraints
from search.choice.fit import Fit
from search.results.schema import run_attributes, storable_history
from search.results.trial_result import TrialResult, ranked, trial_result
from search.stopping.stopped import Stopped


def stored(state=TrialState.COMPLETE, **attributes):
    """A trial in the study."""
    values = [0.5, 0.1] if state == TrialState.COMPLETE else None
    return optuna.trial.create_trial(state=state, values=values, user_attrs=attributes)


def test_the_run_of_an_ended_trial_is_what_was_recorded_whatever_its_rounded_curves_say():
    recorded = run(-1, 0.51234567, best_epoch=0, fit=Fit.TRUE_OVERFIT)
    attributes = run_attributes(recorded) | {"stopped": "overfit", "reason": "why", "seconds": 1.5, "device": "cpu"}
    frozen = stored(**attributes, history=storable_history(history()), config={"width": 8})
    read = trial_result(frozen, EASY, front=True, chosen=False)
    assert read.run == recorded
    assert (read.stopped, read.reason, read.seconds, read.device) == (Stopped.OVERFIT, "why", 1.5, "cpu")
    assert (read.val_loss, read.gap, read.epochs_run) == (0.51234567, recorded.at_best.gap, 3)
    assert (read.front, read.chosen, read.config) == (True, False, {"width": 8})


@pytest.mark.parametrize(("max_gap", "feasible"), [(None, True), (0.2, True), (0.05, False)])
def test_whether_it_may_be_chosen_is_told_by_the_constraints(max_gap, feasible):
    frozen = stored(**run_attributes(run(0, 0.5, 0.1)))
    assert trial_result(frozen, Constraints(0.7, max_gap), front=False, chosen=False).run.feasible is feasible


def test_a_running_trial_has_the_run_that_its_curves_tell_of_so_far():
    curves = storable_history(history([0.9, 0.5, 0.4], [0.8, 0.4, 0.1]))
    frozen = stored(TrialState.RUNNING, history=curves)
    read = trial_result(frozen, Constraints(0.7, max_gap=0.15), front=False, chosen=False)
    assert (read.run.best_epoch, read.run.feasible, read.epochs_run) == (1, True, 3)
    assert read.running
    assert trial_result(stored(TrialState.RUNNING), EASY, front=False, chosen=False).run is None


@pytest.mark.parametrize("written", range(len(run_attributes(run()))))
def test_a_trial_whose_search_was_killed_while_it_recorded_the_run_has_what_its_curves_tell(written):
    recorded = dict(list(run_attributes(run(best_epoch=0)).items())[:written])
    frozen = stored(TrialState.FAIL, history=storable_history(history()), **recorded)
    assert trial_result(frozen, EASY, front=False, chosen=False).run.best_epoch == 2


@pytest.mark.parametrize(
    ("state", "stopped", "ended", "complete", "reached_best", "ending"),
    [
        ("COMPLETE", Stopped.FINISHED, True, True, True, "finished"),
        ("COMPLETE", Stopped.OVERFIT, True, True, True, "overfit"),
        ("PRUNED", Stopped.DIVERGED, True, False, True, "diverged"),
        ("PRUNED", Stopped.HOPELESS, True, False, False, "hopeless"),
        ("PRUNED", Stopped.ERROR, True, False, False, "error"),
        ("RUNNING", None, False, False, False, "running"),
        ("FAIL", None, False, False, False, "cancelled"),
    ],
)
def test_how_a_trial_ended(state, stopped, ended, complete, reached_best, ending):
    result = trial(0, state, stopped)
    assert (result.ended, result.complete, result.reached_best, result.ending) == (
        ended,
        complete,
        reached_best,
        ending,
    )
    assert not TrialResult(0, state, stopped=stopped).reached_best  # without a run there is no best


def test_feasible_ones_come_first_by_loss_then_the_others_then_those_that_run_and_those_without_figures():
    trials = [
        TrialResult(0, "PRUNED", stopped=Stopped.ERROR),
        TrialResult(1, "RUNNING", exact_run(1, 0.1)),
        TrialResult(2, "COMPLETE", exact_run(2, 0.2, feasible=False)),
        TrialResult(3, "COMPLETE", exact_run(3, 0.5)),
        TrialResult(4, "PRUNED", exact_run(4, 0.4)),
        TrialResult(5, "COMPLETE", exact_run(5, 0.4)),
        TrialResult(6, "RUNNING"),
    ]
    assert numbers(ranked(trials)) == [4, 5, 3, 2, 1, 0, 6]


def test_a_row_for_tables_has_every_figure():
    row = trial(3, reason="why", seconds=1.5).figures()
    assert row.keys() >= {"number", "state", "stopped", "reason", "val_loss", "gap", "gap_se", "fit", "feasible"}
    assert (row["number"], row["val_loss"], row["epochs_run"], row["feasible"]) == (3, 0.5, 3, True)
    assert row["best_epoch_from_1"] == 3  # the last of three
    assert "best_epoch" not in row
    assert "val_loss" not in TrialResult(0, "RUNNING").figures()


def test_one_that_finished_is_a_result_though_pruned_since_it_is_infeasible():
    infeasible = trial(0, "PRUNED", constraints=Constraints(0.4))
    assert not infeasible.run.feasible
    assert infeasible.complete
    assert not replace(infeasible, stopped=Stopped.OVERFIT).complete
    assert not replace(infeasible, run=None).complete
    assert not replace(infeasible, replaced_by=1).complete
