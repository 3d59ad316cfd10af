"""Runs of MLflow, read back by its own client from a database."""

import pytest
from builders import trial

from search.stopping.stopped import Stopped
from search.tracking.mlflow import PARENT, TRIAL, Runs, scrubbed

pytest.importorskip("mlflow")
DRAWN = {"width": 12, "norm": "batch"}


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'runs.db'}"


@pytest.fixture
def recorded(uri, request):
    """The search's run and those of its trials by number, in the experiment of this test."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)

    def recorded():
        found = client.search_runs([client.get_experiment_by_name(request.node.name).experiment_id])
        (parent,) = [run for run in found if PARENT not in run.data.tags]
        children = [run for run in found if PARENT in run.data.tags]
        assert all(run.data.tags[PARENT] == parent.info.run_id for run in children)
        assert len({run.data.tags[TRIAL] for run in children}) == len(children)
        return parent, {int(run.data.tags[TRIAL]): run for run in children}, client

    return recorded


@pytest.fixture
def runs(uri, request):
    """Another start of the search at each call."""

    def begin(*ended):
        runs = Runs(uri, request.node.name, "an identity", {"space": "spaces.cnn", "seed": 3})
        runs.begin(ended)
        return runs

    return begin


def test_a_run_for_each_trial_below_that_of_the_search(runs, recorded):
    ended = trial(3, val=(0.9, 0.5, 0.6), train=(0.8, 0.4, 0.2), params=DRAWN)
    search = runs()
    search.epoch(3, {name: values[:2] for name, values in ended.history.items()})
    search.ended(ended)
    search.ended(trial(4, "PRUNED", Stopped.ERROR, val=(), train=(), params=DRAWN, reason="ValueError: no"))
    search.close()
    parent, children, client = recorded()
    assert (parent.info.status, parent.data.params) == ("FINISHED", {"space": "spaces.cnn", "seed": "3"})
    run = children[3]
    assert (run.info.status, run.info.run_name) == ("FINISHED", "trial 3")
    assert run.data.params == {"width": "12", "norm": "batch"}
    assert run.data.tags["gapsearch.stopped"] == "finished"
    curve = client.get_metric_history(run.info.run_id, "val_loss")
    assert [(point.step, point.value) for point in curve] == [(1, 0.9), (2, 0.5), (3, 0.6)]
    assert run.data.metrics["best_val_loss"] == 0.5
    assert run.data.metrics["best_gap"] == pytest.approx(0.1)
    assert (children[4].info.status, children[4].data.tags["gapsearch.reason"]) == ("FAILED", "ValueError: no")


def test_names_that_it_does_not_take_are_written_otherwise(runs, recorded):
    search = runs()
    search.ended(trial(0, params={"lr (log)": 0.1, "l" * 300: 2}))
    assert recorded()[1][0].data.params == {"lr _log_": "0.1", "l" * 250: "2"}


def test_the_next_start_goes_on_in_the_same_run_and_has_nothing_twice(runs, recorded):
    search = runs()
    search.ended(trial(0))
    search.epoch(1, trial(1).history)  # and then it was killed; trial 1 is queued again as trial 3
    search.epoch(2, trial(2).history)  # this one had its result by then, here it has not
    first, _, _ = recorded()
    again = runs(trial(0), trial(2))
    assert recorded()[0].info.status == "RUNNING"
    again.ended(trial(3, continues=0))
    again.forget(0)
    again.epoch(5, trial(5).history)
    again.forget(5)
    again.close()
    parent, children, client = recorded()
    assert parent.info.run_id == first.info.run_id
    assert sorted(children) == [2, 3]
    assert len(client.get_metric_history(children[2].info.run_id, "val_loss")) == 3


def test_another_study_of_the_same_name_has_a_run_of_its_own(uri, request, runs):
    from mlflow.tracking import MlflowClient

    runs().close()
    other = Runs(uri, request.node.name, "another identity", {})
    other.begin([])
    client = MlflowClient(tracking_uri=uri)
    assert len(client.search_runs([client.get_experiment_by_name(request.node.name).experiment_id])) == 2


@pytest.mark.parametrize(
    ("uri", "hidden", "stays"),
    [
        ("http://me:se%20cret@host:5000/x", ["se%20cret", "se cret", "se+cret"], "me at host:5000/x"),
        ("https://token@host", ["token"], "host"),
        ("postgresql://me:pw9@host/db?sslpassword=hidden", ["pw9", "sslpassword=hidden"], "host/db"),
        ("sqlite:///mlflow.db", [], "sqlite:///mlflow.db"),
        ("http://[broken", ["http://[broken"], "else"),
    ],
)
def test_nothing_of_the_uri_that_is_secret_is_shown(uri, hidden, stays):
    text = scrubbed(f"cannot reach {' and '.join(hidden)}: {stays}", uri)
    assert text.endswith(f": {stays}")
    assert not any(secret in text for secret in hidden)
