"""What belongs together is written together: how many statements and transactions a trial costs, and what is kept."""

from collections import Counter

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from search.results.gathering import together
from search.results.schema import SCHEMA
from search.results.storage import create_study


@pytest.fixture
def study(tmp_path):
    study = create_study(f"sqlite:///{tmp_path / 'study.db'}", "one")
    study.set_user_attr("schema", SCHEMA)
    study.ask(
        {name: optuna.distributions.IntDistribution(1, 8) for name in ("depth", "width")}
    )  # the first to have them
    return study


def read(study):
    return optuna.load_study(study_name="one", storage=str(study._storage._backend.url)).get_trials()


@pytest.fixture
def said(study):
    """How often something was committed, and what statements the database was sent, by their first word."""
    counts = Counter()
    engine = study._storage._backend.engine
    sqlalchemy.event.listen(engine, "commit", lambda connection: counts.update(["commit"]))
    sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *of: counts.update([of[2].split()[0]]))
    return counts


def test_twenty_attributes_cost_one_transaction_and_five_statements(study, said):
    trial = study.ask()
    said.clear()
    with together(study):
        for number in range(20):
            trial.set_user_attr(f"figure {number}", [number])
        study._storage.set_trial_system_attr(trial._trial_id, "seen", True)
        assert said["commit"] == 0
    assert said == {"commit": 1, "SELECT": 1, "DELETE": 2, "INSERT": 2}  # of both kinds of attributes
    found = read(study)[1]
    assert found.user_attrs == {f"figure {number}": [number] for number in range(20)}
    assert found.system_attrs["seen"] is True


def test_both_constraints_are_kept(study):
    trial = study.ask()
    with together(study):
        trial.set_constraint("baseline", -0.1)
        trial.set_constraint("gap", 0.5)
    assert read(study)[1].constraints == {"baseline": -0.1, "gap": 0.5}


def test_parameters_are_written_with_them(study, said):
    trial = study.ask()
    said.clear()
    with together(study):
        config = {name: trial.suggest_int(name, 1, 8) for name in ("depth", "width")}
        trial.set_user_attr("config", config)
        assert said["INSERT"] == 0
    assert said["INSERT"] == 2
    assert read(study)[1].params == read(study)[1].user_attrs["config"] == config


def test_a_later_value_takes_the_place_of_an_earlier_one_and_no_other(study):
    first, second = study.ask(), study.ask()
    second.set_user_attr("history", [9])
    first.set_user_attr("other", 1)
    with together(study):
        first.set_user_attr("history", [1])
        first.set_user_attr("history", [1, 2])
    first.set_user_attr("history", [1, 2, 3])
    assert [trial.user_attrs for trial in read(study)[1:]] == [{"other": 1, "history": [1, 2, 3]}, {"history": [9]}]


def test_what_is_told_comes_after_what_was_written(study):
    trial = study.ask()
    with together(study):
        trial.set_user_attr("history", [1])
        study.tell(trial, [1.0, 0.5])
    assert (read(study)[1].state, read(study)[1].user_attrs) == (TrialState.COMPLETE, {"history": [1]})


def test_a_trial_that_has_ended_takes_nothing_more(study):
    trial, running = study.ask(), study.ask()
    study.tell(trial, [1.0, 0.5])

    def write():
        with together(study):
            running.set_user_attr("history", [1])
            trial.set_user_attr("history", [1])

    with pytest.raises(UpdateFinishedTrialError):
        write()
    running.set_user_attr("later", 1)
    assert [one.user_attrs for one in read(study)[1:]] == [{}, {"later": 1}]  # nothing is half written


def test_another_range_of_a_parameter_is_refused_as_by_optuna(study):
    with pytest.raises(ValueError, match="distribution"), together(study):
        study.ask().suggest_float("width", 0.0, 1.0)


def test_a_trial_ends_in_the_transaction_of_what_is_written_to_it(study, said):
    study.sampler = optuna.samplers.RandomSampler()  # others read the study
    trial = study.ask()
    said.clear()
    with together(study):
        trial.set_user_attr("history", [1])
        study.tell(trial, [float("inf"), 0.5])
        assert said["commit"] == 2  # a look at the trial, and all of it
    assert said["UPDATE"] == 1
    ended = read(study)[1]
    assert (ended.values, ended.user_attrs) == ([float("inf"), 0.5], {"history": [1]})
    assert ended.datetime_complete >= ended.datetime_start


def test_nothing_is_half_told(study):
    trial = study.ask()

    def fail(connection, cursor, statement, *others):
        if "INSERT INTO trial_values" in statement:
            raise RuntimeError("killed")

    engine = study._storage._backend.engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", fail)

    def write():
        with together(study):
            trial.set_user_attr("history", [1])
            study.tell(trial, [1.0, 0.5])

    with pytest.raises(RuntimeError, match="killed"):
        write()
    sqlalchemy.event.remove(engine, "before_cursor_execute", fail)
    assert (read(study)[1].state, read(study)[1].user_attrs) == (TrialState.RUNNING, {})
    study.tell(trial, [2.0, 0.5])
    assert study.get_trials()[1].values == [2.0, 0.5]


def test_running_trials_are_read_again_where_they_were_written_to(study, said):
    running = study.ask()
    study.get_trials(deepcopy=False)
    said.clear()
    study.get_trials(deepcopy=False)
    assert said["SELECT"] == 1  # which there are, and whether they run
    with together(study):
        new = study.ask()
        new.suggest_int("width", 1, 8)
        study.get_trials(deepcopy=False)
        running.set_user_attr("history", [1])
    create_study(study._storage._backend.url, "one").tell(0, state=TrialState.FAIL)  # from outside
    found = study.get_trials()
    assert [trial.state.name for trial in found] == ["FAIL", "RUNNING", "RUNNING"]
    assert (found[1].user_attrs, found[2].params) == ({"history": [1]}, new.params)
    study.tell(new, [1.0, 0.5])
    study.tell(running, [2.0, 0.5])
    assert [trial.values for trial in study.get_trials()] == [None, [2.0, 0.5], [1.0, 0.5]]
