"""Trials that were interrupted are queued again, each exactly once."""

import optuna
import pytest
from optuna.trial import TrialState

from search.recording.resume import next_lineage, requeue, requeue_running
from search.recording.store import Store
from search.results.schema import LINEAGE


def suggest(trial):
    return {"a": trial.suggest_float("a", 0.0, 1.0), "b": trial.suggest_int("b", 0, 100)}


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'study.db'}"


def opened(url, seed=0):
    return Store(url, "study", seed)


def waiting(study):
    return [trial for trial in study.get_trials() if trial.state == TrialState.WAITING]


def test_a_killed_search_draws_what_it_would_have_drawn(url, tmp_path):
    undisturbed = opened(f"sqlite:///{tmp_path / 'other.db'}")
    expected = [undisturbed.ask(suggest)[1] for _ in range(4)]
    first = opened(url)
    drawn = [first.ask(suggest)[1] for _ in range(2)]  # and is killed
    second = opened(url)
    assert second.requeue_interrupted() == 2
    again = [second.ask(suggest) for _ in range(4)]
    assert drawn == expected[:2]
    assert [config for _, config, _ in again] == expected
    assert [lineage for _, _, lineage in again] == [0, 1, 2, 3]


def test_killed_while_a_queued_trial_is_drawn_it_keeps_its_parameters(url):
    store = opened(url)
    _, config, _ = store.ask(suggest)
    second = opened(url)
    second.requeue_interrupted()

    def killed(trial):
        trial.suggest_float("a", 0.0, 1.0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        second.ask(killed)
    third = opened(url)
    third.requeue_interrupted()
    assert third.ask(suggest)[1:] == (config, 0)


def test_killed_before_its_first_draw_a_queued_trial_is_not_lost(url):
    study = opened(url).study
    study.enqueue_trial({"a": 0.25, "b": 7})
    study.ask()  # and is killed
    store = opened(url)
    store.requeue_interrupted()
    assert store.ask(suggest)[1] == {"a": 0.25, "b": 7}


def test_killed_between_queueing_and_failing_it_is_queued_once(url):
    store = opened(url)
    trial, _, _ = store.ask(suggest)
    requeue(store.study, trial.number, trial.params, trial.user_attrs)  # and is killed before it tells
    second = opened(url)
    second.requeue_interrupted()
    assert len(waiting(second.study)) == 1
    assert second.study.trials[trial.number].state == TrialState.FAIL


def test_a_trial_that_was_first_being_drawn_is_dropped_and_drawn_again(url, tmp_path):
    store = opened(url)

    def killed(trial):
        trial.suggest_float("a", 0.0, 1.0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.ask(killed)
    second = opened(url)
    second.requeue_interrupted()
    assert not waiting(second.study)
    assert second.ask(suggest)[1:] == (opened(f"sqlite:///{tmp_path / 'other.db'}").ask(suggest)[1], 0)


def test_lineages_count_configurations_and_not_trials():
    study = optuna.create_study()
    assert next_lineage(study) == 0
    for lineage in (0, 1, 0):
        study.ask().set_user_attr(LINEAGE, lineage)
    assert next_lineage(study) == 2
    assert requeue_running(study) == 3
