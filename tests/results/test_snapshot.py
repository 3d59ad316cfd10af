"""What graphs, notes and the report read of a search."""

import contextlib
import math
import sqlite3

import optuna
import pytest
from builders import recorded_study, recorded_trial, snapshot, trial
from optuna.trial import TrialState, create_trial

from search import Search
from search.errors import UserError
from search.results.schema import StudyAttribute
from search.results.snapshot import read_snapshot, stand_ins, stored_constraints
from search.results.storage import open_study
from search.stopping.stopped import Stopped


def test_a_study_without_a_start_has_an_empty_snapshot():
    taken = read_snapshot(optuna.create_study(study_name="new", directions=["minimize", "minimize"]))
    assert (taken.name, taken.trials, taken.runs, taken.chosen, taken.band) == ("new", (), (), None, ())
    assert (taken.planned_epochs, taken.chosen_trial) == (0, None)
    assert taken.constraints.met(val_loss=99.0, gap=99.0)


def test_the_constraints_are_the_baseline_and_the_ceiling_that_were_recorded():
    study = optuna.create_study()
    study.set_user_attr(StudyAttribute.BASELINE, {"val_loss": 0.5, "val_accuracy": 0.9, "l2": 1.0})
    assert stored_constraints(study).max_gap is None
    study.set_user_attr(StudyAttribute.SETTINGS, {"max_gap": 0.25})
    assert (stored_constraints(study).baseline_loss, stored_constraints(study).max_gap) == (0.5, 0.25)


def test_a_study_of_an_older_release_has_no_rivals_in_accuracy():
    study = recorded_study([recorded_trial(0)], chosen=0)
    assert read_snapshot(study).rivals.known == {}
    study.set_user_attr(StudyAttribute.BASELINE, {"val_loss": 1.0, "val_accuracy": 0.5})
    assert read_snapshot(study).rivals.known == {"linear baseline": 0.5}


def test_the_snapshot_tells_of_the_choice_that_was_exported(tmp_path):
    result = Search(
        name="s", dataset="digits", trials=3, epochs=4, out=str(tmp_path / "run"), workers=1, device="cpu"
    ).run()
    with open_study(f"sqlite:///{tmp_path / 'run' / 'study.db'}", None) as study:
        taken = read_snapshot(study)
        complete = study.get_trials(states=(TrialState.COMPLETE,))
        best = {tuple(trial.values) for trial in study.best_trials}
    assert result.best is not None
    assert taken.chosen == result.best.trial
    assert taken.chosen in taken.band
    assert taken.because
    assert taken.plan["epochs"] == taken.planned_epochs == 4
    assert taken.data["name"] == "digits"
    assert taken.data["shape"] == [1, 8, 8]
    assert [trial.number for trial in taken.trials if trial.chosen] == [taken.chosen]
    assert taken.chosen_trial is not None
    assert taken.chosen_trial.run is not None
    assert taken.chosen_trial.run.at_best.val_loss == result.best.metrics["val_loss"]
    assert len(taken.trials) == 3
    assert [run.number for run in taken.runs] == [trial.number for trial in complete]
    assert {trial.run.objectives for trial in taken.trials if trial.front and trial.run} == best
    assert taken.constraints.baseline_loss < 1
    counts = taken.data["val_counts"]
    assert (len(counts), sum(counts)) == (10, taken.data["val_size"])
    assert taken.rivals.largest_class == max(counts) / sum(counts)
    assert taken.rivals.baseline == study.user_attrs[StudyAttribute.BASELINE]["val_accuracy"]
    stored = result.best.choice
    assert (stored["baseline_accuracy"], stored["largest_class"]) == (taken.rivals.baseline, taken.rivals.largest_class)
    assert stored["unrecognized"] == list(taken.unrecognized)


def test_trials_are_told_apart_by_how_they_ended():
    search = snapshot(
        trial(0, chosen=True),
        trial(1, "PRUNED", Stopped.HOPELESS),
        trial(2, "RUNNING", None),
        trial(3, "FAIL", None),
        trial(4, "COMPLETE", Stopped.FINISHED, val=[math.nan], train=[0.5]),
    )
    assert [trial.number for trial in search.ended] == [0, 1, 4]
    assert [run.number for run in search.runs] == [0]
    assert search.chosen_trial is search.trials[0]


def test_an_earlier_start_may_have_planned_more_epochs():
    assert snapshot(trial(0), epochs=2).planned_epochs == 3
    assert snapshot(trial(0), epochs=5).planned_epochs == 5


R, C, P, F = TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        ([(C, {}), (C, {})], {}),
        ([(F, {}), (C, {"replaces": 0})], {0: 1}),
        ([(C, {}), (C, {"continues": 0})], {0: 1}),
        ([(C, {}), (P, {"continues": 0})], {0: 1}),
        ([(C, {}), (R, {"continues": 0})], {}),
        ([(C, {}), (F, {"continues": 0})], {1: 0}),  # given up
        ([(C, {}), (F, {"continues": 0}), (R, {"continues": 0, "replaces": 1})], {1: 2}),  # interrupted
        ([(C, {}), (F, {"continues": 0}), (C, {"continues": 0, "replaces": 1})], {0: 2, 1: 2}),
        ([(C, {}), (C, {"continues": 0}), (C, {"continues": 1})], {0: 1, 1: 2}),  # longer twice
    ],
)
def test_which_trial_stands_for_which(trials, expected):
    frozen = []
    for number, (state, marks) in enumerate(trials):
        frozen.append(create_trial(state=state, value=0.5 if state == C else None, user_attrs=marks))
        frozen[-1].number = number
    assert stand_ins(frozen) == expected


def test_a_trial_for_which_another_stands_counts_nowhere():
    study = recorded_study([recorded_trial(0, val_loss=0.4, gap=0.0), recorded_trial(1, val_loss=0.5, gap=0.1)])
    study.add_trial(replace_attributes(recorded_trial(2, val_loss=0.45, gap=0.05), continues=0))
    taken = read_snapshot(study)
    assert [trial.replaced_by for trial in taken.trials] == [2, None, None]
    assert [trial.number for trial in taken.ended] == [run.number for run in taken.runs] == [1, 2]
    assert [trial.front for trial in taken.trials] == [False, False, True]


def replace_attributes(trial, **attributes):
    """With further ones."""
    trial.user_attrs = trial.user_attrs | attributes
    return trial


@pytest.mark.parametrize("damage", [{"choice": [3]}, {"baseline": {}}, {"data": {"val_counts": "many"}}])
def test_damaged_records_are_an_error_of_one_line(damage):
    study = recorded_study([recorded_trial(0)], chosen=0)
    for name, content in damage.items():
        study.set_user_attr(name, content)
    with pytest.raises(UserError, match=r"the study .* holds records that are damaged \(.*\); go back to a copy"):
        read_snapshot(study)


UNEVEN = {"train_loss": [0.5], "val_loss": [0.6, 0.5], "gap": [0.1]}


@pytest.mark.parametrize(
    "damage",
    [
        {"history": {"val_loss": [0.5]}},
        {"history": UNEVEN},
        {"history": "many"},
        {"best_epoch": "first"},
        {"parameters": None},
    ],
)
def test_so_is_a_damaged_trial(damage):
    study = recorded_study([replace_attributes(recorded_trial(0), **damage)])
    with pytest.raises(UserError, match=r"holds records that are damaged"):
        read_snapshot(study)


def test_what_is_damaged_below_the_attributes(tmp_path):
    file = tmp_path / "study.db"
    recorded_study([recorded_trial(0)], storage=f"sqlite:///{file}")
    for statement in (
        "update trials set state = 'XX'",
        "update study_user_attributes set value_json = '{' where key = 'data'",
    ):
        with contextlib.closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(statement)
        with (
            pytest.raises(UserError, match=r"holds records that are damaged|cannot read"),
            open_study(f"sqlite:///{file}", None) as study,
        ):
            read_snapshot(study)


def test_the_epochs_of_the_race_are_those_of_all_its_trainings():
    study = recorded_study([recorded_trial(0)], chosen=0)
    assert read_snapshot(study).race_epochs == 0
    study.set_user_attr(StudyAttribute.REPEATS, [{"epochs": 3}, {"epochs": 4}])
    assert read_snapshot(study).race_epochs == 7
