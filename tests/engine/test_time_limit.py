"""How the time of a start is shared between its trials and the race."""

import itertools

import pytest
from builders import history, run, settings, study_of
from optuna.trial import TrialState

import search
from search.choice.constraints import Constraints
from search.engine import runner, time_limit
from search.engine.launch import run_search
from search.engine.time_limit import OUT_OF_TIME, TimeLimit, is_result

THREE = [run(number) for number in range(3)]


class Clock:
    """Shows what it is set to."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("seconds", "race_is_due", "over"),
    [(0.0, False, False), (95.9, False, False), (96.0, True, False), (120.0, True, True)],
)
def test_a_fifth_of_the_time_is_the_race_s(seconds, race_is_due, over):
    clock = Clock()
    limit = TimeLimit(120, race=True, clock=clock)
    clock.now += seconds
    assert (limit.race_is_due(THREE), limit.over()) == (race_is_due, over)
    assert limit.left() == pytest.approx(120 - seconds)


def test_trials_go_on_while_too_few_runs_may_be_chosen():
    clock = Clock()
    limit = TimeLimit(120, race=True, clock=clock)
    clock.now += 119
    assert not limit.race_is_due([*THREE[:2], run(3, feasible=False)])
    assert limit.race_is_due([*THREE, run(3, feasible=False)])


def test_without_a_race_or_a_limit_trials_have_all_the_time():
    clock = Clock()
    limits = TimeLimit(120, race=False, clock=clock), TimeLimit(None, race=True, clock=clock)
    clock.now += 119
    assert not any(limit.race_is_due(THREE) for limit in limits)
    clock.now = 1e9
    assert [limit.over() for limit in limits] == [True, False]


def test_a_search_whose_time_is_short_races_and_leaves_its_trials_queued(tmp_path, monkeypatch, said):
    monkeypatch.setattr(time_limit, "FOR_TRIALS", 0.0)  # as soon as there are runs enough
    plan = {"trials": 40, "epochs": 6, "train_size": 400, "timeout": 500.0}
    run_search(settings(tmp_path / "run", **plan))
    study = study_of(tmp_path / "run")
    ended = [trial for trial in study.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert 3 <= len(ended) < 10
    assert study.user_attrs["choice"]["expected"]["seeds"] >= 1  # the race went to its end
    assert study.get_trials(states=(TrialState.RUNNING,)) == []
    interrupted, queued = (study.get_trials(states=(state,)) for state in (TrialState.FAIL, TrialState.WAITING))
    assert len(interrupted) == len(queued) <= 1  # of two workers, one has just ended its trial
    last = said().splitlines()[-1]
    assert last.endswith(
        f"the time is over (--timeout 500): {len(ended)} of 40 trials have ended; "
        "the same command again goes on from there"
    )


def test_where_the_time_is_over_at_once_that_is_said(tmp_path, said):
    run_search(settings(tmp_path / "run", timeout=1e-3))
    assert (
        said()
        .splitlines()[-1]
        .endswith(
            "the time is over (--timeout 0.001): 0 of 6 trials have ended, the race has not; "
            "the same command again goes on from there"
        )
    )


def test_a_search_that_is_done_says_nothing_of_its_time(tmp_path, said):
    run_search(settings(tmp_path / "run", trials=1, epochs=1, timeout=500.0))
    assert "the time is over" not in said()


def test_where_no_run_has_ended_a_running_one_ends_with_its_epochs_and_goes_on_later(tmp_path, monkeypatch, said):
    monkeypatch.setattr(runner, "LAST_SECONDS", 100.0)  # on a busy machine an epoch takes long
    plan = {"trials": 2, "epochs": 500, "workers": 1, "race": False}
    over = itertools.chain([False], itertools.repeat(True))
    with monkeypatch.context() as early:
        early.setattr(TimeLimit, "over", lambda limit: next(over))  # as soon as the first trial has begun
        run_search(settings(tmp_path / "run", **plan))
    study = study_of(tmp_path / "run")
    [first] = study.get_trials(states=(TrialState.COMPLETE,))
    assert first.user_attrs["stopped"] == "finished"
    assert first.user_attrs["reason"] == OUT_OF_TIME
    assert 2 <= first.user_attrs["epochs_run"] < 500
    assert search.load(tmp_path / "run" / "best.yaml").trial == first.number
    run_search(settings(tmp_path / "run", timeout=1.0, **plan))
    assert f"from epoch {first.user_attrs['epochs_run']} to 500" in said()


@pytest.mark.parametrize(("val", "result"), [((0.9, 0.6), True), ((0.6,), False), ((2.0, 1.9), False), ((), False)])
def test_a_run_so_far_is_a_result_from_its_second_epoch_on_if_it_may_be_chosen(val, result):
    curves = history(val, [0.5] * len(val)) if val else {}
    assert is_result(curves, Constraints(baseline_loss=1.0)) == result
