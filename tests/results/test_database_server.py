"""A study on a real PostgreSQL server: restarted, away, and its password nowhere to be seen."""

import threading
import time
from unittest import mock

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState
from postgres import server  # noqa: F401

from search.command.cli import main
from search.errors import UserError
from search.results import server as waiting
from search.results.gathering import together
from search.results.patience import Patience
from search.results.schema import SCHEMA
from search.results.storage import create_study, open_storage, open_study
from studies.benchmarks.overhead.postgres_server import PASSWORD

SECRETS = (PASSWORD, PASSWORD.replace(" ", "%20"), PASSWORD.replace(" ", "+"))


@pytest.fixture
def study(server, request):  # noqa: F811
    """A study of the test's own."""
    study = create_study(server.url, request.node.name)
    study.set_user_attr("schema", SCHEMA)
    return study


def read_anew(server, study):  # noqa: F811
    """As another process reads it."""
    with open_study(server.url, study.study_name) as other:
        return other.get_trials()


def test_a_study_is_found_again(server, study):  # noqa: F811
    study.set_user_attr("schema", 2)
    trial = study.ask()
    trial.suggest_float("dropout", 0, 1)
    study.tell(trial, [0.5, 0.1])
    again = create_study(server.url, study.study_name)
    assert [trial.values for trial in again.trials] == [[0.5, 0.1]]
    assert read_anew(server, study)[0].params == trial.params


def test_a_restart_is_waited_for_and_nothing_is_lost_or_there_twice(server, study, said):  # noqa: F811
    """By an immediate stop, as a power failure is one."""
    for number in range(8):
        if number % 4 == 2:
            server.stop("immediate")
            threading.Timer(1.0, server.start).start()
        trial = study.ask()
        trial.suggest_int("width", 8, 64)
        trial.set_user_attr("lineage", number)
        study.tell(trial, [number, 0.0])
    found = read_anew(server, study)
    assert [(trial.state, trial.values, trial.user_attrs) for trial in found] == [
        (TrialState.COMPLETE, [number, 0.0], {"lineage": number}) for number in range(8)
    ]
    assert said().count("waiting for postgresql+psycopg://me:***@127.0.0.1") == 2
    assert not any(secret in said() for secret in SECRETS)


def lose_an_answer():
    """Have the next transaction be recorded, and the connection fail before that is known."""
    commit, lost = sqlalchemy.orm.Session.commit, []

    def failing(session):
        commit(session)
        if not lost:
            lost.append(True)
            raise sqlalchemy.exc.OperationalError("COMMIT", {}, Exception("the connection is gone"))

    return mock.patch.object(sqlalchemy.orm.Session, "commit", failing)


@pytest.fixture
def no_pause(monkeypatch):
    monkeypatch.setattr(waiting, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def test_a_trial_whose_recording_was_not_confirmed_is_not_made_twice(server, study, no_pause):  # noqa: F811
    with lose_an_answer():
        trial = study.ask()
    with lose_an_answer():
        study.enqueue_trial({"width": 8}, user_attrs={"lineage": 1})
    assert [trial.state for trial in read_anew(server, study)] == [TrialState.RUNNING, TrialState.WAITING]
    study.enqueue_trial({"width": 8}, user_attrs={"lineage": 1})  # by intention
    assert len(read_anew(server, study)) == 3
    with lose_an_answer():
        study.tell(trial, [0.5, 0.1])
    with lose_an_answer():
        assert study.ask().number == 1
    states = [trial.state for trial in read_anew(server, study)]
    assert states == [TrialState.COMPLETE, TrialState.RUNNING, TrialState.WAITING]


def test_a_tell_that_was_not_confirmed_is_told_once(server, study, no_pause):  # noqa: F811
    trial = study.ask()
    with together(study):
        trial.set_user_attr("history", [1])
        study._storage.get_trial(trial._trial_id)  # its answer is not the one that is lost
        with lose_an_answer():
            study.tell(trial, [0.5, 0.1])
    found = read_anew(server, study)
    assert [(one.state, one.values, one.user_attrs) for one in found] == [
        (TrialState.COMPLETE, [0.5, 0.1], {"history": [1]})
    ]


def test_what_is_written_together_is_there_before_the_trial_ends(server, study):  # noqa: F811
    with together(study):
        trial = study.ask()
        trial.suggest_float("dropout", 0, 1)
        trial.set_user_attr("fit", "good")
        trial.set_constraint("baseline", 1.0)
        assert read_anew(server, study)[0].user_attrs == {}
        study.tell(trial, state=TrialState.PRUNED)
        trial = study.ask()
        trial.set_user_attr("fit", "underfit")
    first, second = read_anew(server, study)
    assert (first.user_attrs, first.constraints, first.params) == ({"fit": "good"}, {"baseline": 1.0}, first.params)
    assert first.params
    assert second.user_attrs == {"fit": "underfit"}


def test_running_trials_are_read_where_they_have_changed(server, study):  # noqa: F811
    running = [study.ask() for _ in range(4)]
    assert len(study.get_trials(deepcopy=False)) == 4
    with mock.patch.object(
        optuna.storages.RDBStorage, "_build_frozen_trial_from_trial_model",
        autospec=True, side_effect=optuna.storages.RDBStorage._build_frozen_trial_from_trial_model,
    ) as built:  # fmt: skip
        study.get_trials(deepcopy=False)
        assert built.call_count == 0
        running[1].set_user_attr("history", [1.0])
        create_study(server.url, study.study_name).tell(2, state=TrialState.FAIL)  # from outside
        built.reset_mock()
        found = study.get_trials(deepcopy=False)
        assert built.call_count == 2
    assert found[1].user_attrs == {"history": [1.0]}
    assert [trial.state.name for trial in found] == ["RUNNING", "RUNNING", "FAIL", "RUNNING"]


def test_a_server_that_stays_away_ends_it(server, request):  # noqa: F811
    study = create_study(server.url, request.node.name, Patience("the database", 0.0))
    server.stop()
    try:
        with pytest.raises(optuna.exceptions.StorageInternalError):
            study.ask()
        with (
            pytest.raises(UserError, match=r"cannot read postgresql\+psycopg://me:\*\*\*@") as refused,
            open_storage(server.url),
        ):
            pass
    finally:
        server.start()
    assert not any(secret in str(refused.value) for secret in SECRETS)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"password": "wrong secret"}, "password authentication failed"),
        ({"database": "nowhere"}, 'database "nowhere" does not exist'),
        ({"port": 1}, "connection failed"),
    ],
)
def test_a_connection_that_fails_is_one_line_without_a_password(server, tmp_path, capfd, change, cause):  # noqa: F811
    url = sqlalchemy.make_url(server.url).set(**change).render_as_string(hide_password=False)
    assert main(["list", str(tmp_path), "--storage", url]) == 2
    assert main(["run", "digits", "--device", "cpu", "--out", str(tmp_path / "run"), "--storage", url]) == 2
    out, err = capfd.readouterr()
    assert cause in err
    assert "secret" not in out + err


def test_a_driver_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(UserError, match=r"pip install 'gapsearch\[postgres\]'"):
        create_study("postgresql+psycopg://me@127.0.0.1:1/x", "s")
