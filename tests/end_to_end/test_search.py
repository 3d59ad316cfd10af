"""A search as its user meets it: started, stopped, resumed, disturbed; real processes on real digits."""

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
import yaml
from builders import ATTRIBUTES, ROOT, settings, study_of
from optuna.trial import TrialState

import search
from search.engine.launch import run_search
from search.engine.time_limit import OUT_OF_TIME, TimeLimit

AWKWARD = str(Path(__file__).parent / "awkward_space.py")
DIGITS = (sys.executable, str(ROOT / "studies" / "digits.py"), "--no-start")  # its first networks are small then
SMALL = ("--train-size", "200", "--val-size", "100", "--epochs", "3")


def states(folder):
    return Counter(trial.state.name for trial in study_of(folder).trials)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small search that ran to its end."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert run_search(settings(folder, trials=20, workers=4, epochs=10)) is None
    return folder


def test_it_leaves_what_the_contract_names(finished):
    study = study_of(finished)
    assert study.metric_names == ["val_loss", "gap"]
    assert [d.name for d in study.directions] == ["MINIMIZE", "MINIMIZE"]
    assert len(study.trials) == 20
    for trial in study.trials:
        assert set(trial.user_attrs) >= ATTRIBUTES
        history = trial.user_attrs["history"]
        assert {len(curve) for curve in history.values()} == {trial.user_attrs["epochs_run"]}
        best = trial.user_attrs["best_epoch"]
        assert history["val_loss"][best] == min(history["val_loss"])
        assert trial.constraints.keys() == {"baseline"}
        if trial.state is TrialState.COMPLETE:
            assert trial.values == [trial.user_attrs["val_loss"], max(trial.user_attrs["gap"], 0)]
    assert {path.name for path in finished.iterdir()} >= {"study.db", "artifacts", "checkpoints", "weights"}
    kept = {path.name for path in (finished / "checkpoints").iterdir()}  # of those that more epochs may improve
    assert kept <= {f"{path.stem}.pt" for path in (finished / "weights").iterdir()}


def test_no_two_trials_share_parameters(finished):
    trials = study_of(finished).trials
    assert len({tuple(sorted(trial.params.items())) for trial in trials}) == len(trials) == 20


def test_weights_are_kept_only_for_runs_that_may_be_chosen(finished):
    kept = {int(path.stem) for path in (finished / "weights").iterdir() if path.name.count(".") == 1}  # of no race
    complete = {t.number: t.values[0] for t in study_of(finished).trials if t.state is TrialState.COMPLETE}
    assert kept <= set(complete)
    assert min(complete, key=complete.get) in kept


def test_best_yaml_is_complete_and_names_no_absolute_path(finished):
    text = (finished / "best.yaml").read_text()
    content = yaml.safe_load(text)
    assert str(finished.parent) not in text
    assert not re.search(r"(^|\s)/\w", text)
    trial = study_of(finished).trials[content["trial"]]
    assert content["config"] == trial.params
    assert content["metrics"]["val_loss"] == trial.user_attrs["val_loss"]
    assert content["epochs"] == trial.user_attrs["best_epoch"] + 1
    assert content["data"]["classes"] == list("0123456789")


def test_load_builds_the_network_and_its_weights_fit(finished):
    best = search.load(finished / "best.yaml")
    images = torch.rand(2, 1, 8, 8)
    assert best.build()(images).shape == (2, 10)
    assert sum(p.numel() for p in best.build().parameters()) == best.metrics["parameters"]
    assert set(torch.load(finished / "best.pt", weights_only=True)) == set(best.build().state_dict())
    assert not best.trained().training


def test_training_again_gives_the_recorded_figures_to_the_last_digit(finished, tmp_path):
    command = [sys.executable, "-m", "search", "train", str(finished / "best.yaml")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    recorded = yaml.safe_load((finished / "best.yaml").read_text())["metrics"]
    assert f"reproduced to the last digit: val_loss {recorded['val_loss']!r}" in done.stdout
    again, kept = (torch.load(finished / name, weights_only=True) for name in ("retrained.pt", "best.pt"))
    assert all(torch.equal(again[name], kept[name]) for name in kept)


def test_a_second_start_adds_only_the_missing_trials(tmp_path):
    run_search(settings(tmp_path / "run", trials=3))
    first = [trial.params for trial in study_of(tmp_path / "run").trials]
    run_search(settings(tmp_path / "run", trials=3))
    assert states(tmp_path / "run").total() == 3
    run_search(settings(tmp_path / "run", trials=7))
    trials = study_of(tmp_path / "run").trials
    assert len(trials) == 7
    assert [trial.params for trial in trials[:3]] == first
    assert all(trial.params not in first for trial in trials[3:])


def test_one_worker_and_one_seed_repeat_the_identical_search(tmp_path):
    runs = []
    for name in ("a", "b"):
        run_search(settings(tmp_path / name, workers=1, trials=12))
        study = study_of(tmp_path / name)
        runs.append([(t.params, t.state, t.values, t.user_attrs["history"]) for t in study.trials])
    assert runs[0] == runs[1]
    run_search(settings(tmp_path / "c", workers=1, trials=2, seed=1))
    assert study_of(tmp_path / "c").trials[0].params != runs[0][0][0]


@pytest.mark.parametrize(
    ("changes", "culprit"),
    [
        ({"train_size": 210}, "--train-size was 200 when this search began and is 210 now"),
        ({"seed": 5}, "--seed was 0 when this search began and is 5 now"),
        ({"max_gap": 0.1}, "--max-gap was not set when this search began and is 0.1 now"),
        ({"ranges": {"depth": (2, 4)}}, "ranges was"),
        ({"flip": True}, "--flip was False"),
    ],
)
def test_a_start_that_cannot_be_compared_is_refused(finished, changes, culprit):
    with pytest.raises(search.errors.UserError, match=re.escape(culprit)):
        run_search(settings(finished, trials=20, **changes))


def test_a_ceiling_for_the_gap_is_respected_or_nothing_is_chosen(tmp_path, said):
    run_search(settings(tmp_path / "run", max_gap=0.06, trials=8, epochs=12, train_size=None, val_size=None))
    content = yaml.safe_load((tmp_path / "run" / "best.yaml").read_text())
    assert content["metrics"]["gap"] <= 0.06
    run_search(settings(tmp_path / "none", max_gap=1e-9, trials=2, epochs=1, ranges={"learning_rate": (1e-6, 1e-6)}))
    assert "chosen: none" in said()
    assert not (tmp_path / "none" / "best.yaml").exists()


def test_ctrl_c_ends_within_five_seconds_and_keeps_everything(tmp_path):
    command = [*DIGITS, "--workers", "2", "--epochs", "400", "--out", "run"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(lambda: has_history(tmp_path / "run"))
    os.killpg(process.pid, signal.SIGINT)
    pressed = time.monotonic()
    output = process.communicate(timeout=20)[0]
    assert time.monotonic() - pressed < 5
    assert process.returncode == 130
    assert "Traceback" not in output
    assert "report: gapsearch report run" in output  # and none is waited for
    study = study_of(tmp_path / "run")
    assert not study.get_trials(states=(TrialState.RUNNING,))
    interrupted = study.get_trials(states=(TrialState.FAIL,))
    queued = study.get_trials(states=(TrialState.WAITING,))
    assert len(queued) == len(interrupted) == 2
    run_search(settings(tmp_path / "run", trials=2, epochs=2, train_size=None, val_size=None,
                        ranges={"width": (8, 32), "depth": (2, 4)}))  # fmt: skip
    done = study_of(tmp_path / "run").get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
    assert {str(trial.params) for trial in done} == {str(trial.params) for trial in interrupted}


def test_a_killed_search_queues_again_what_it_left_running(tmp_path):
    command = [*DIGITS, *SMALL[:4], "--epochs", "400", "--workers", "1",
               "--out", "run"]  # fmt: skip
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    wait_for(lambda: has_history(tmp_path / "run"))
    process.kill()
    process.wait()
    left = study_of(tmp_path / "run").trials[0].params
    run_search(settings(tmp_path / "run", trials=1, epochs=2, ranges={"width": (8, 32), "depth": (2, 4)}))
    trials = study_of(tmp_path / "run").trials
    assert [trial.state is TrialState.FAIL for trial in trials] == [True, False]
    assert trials[1].params == left


def test_a_trial_failed_from_the_dashboard_does_not_end_the_search(tmp_path):
    command = [*DIGITS, "--workers", "1", "--trials", "2",
               "--epochs", "200", "--out", "run", *SMALL[:4]]  # fmt: skip
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(lambda: has_history(tmp_path / "run"))
    study_of(tmp_path / "run").tell(0, state=TrialState.FAIL)
    output = process.communicate(timeout=100)[0]
    assert process.returncode == 0, output
    assert "cancelled" in output
    ended = states(tmp_path / "run")
    assert ended.pop("FAIL") == 1
    assert sum(ended.values()) == 2


def test_two_searches_in_one_folder_are_refused(tmp_path):
    command = [*DIGITS, "--epochs", "400", "--workers", "1", "--out", "run"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    wait_for(lambda: has_history(tmp_path / "run"))
    with pytest.raises(search.errors.UserError, match="another search is running"):
        run_search(settings(tmp_path / "run"))
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("memory", {"trained": 3, "out_of_memory": 2}),
        ("error", {"trained": 3, "error": 2}),
        ("kill once", {"trained": 5}),
        ("kill", {"trained": 4, "error": 1}),
    ],
)
def test_a_trial_that_fails_does_not_end_the_search(tmp_path, monkeypatch, fault, expected):
    monkeypatch.setenv("FAULT", fault)
    monkeypatch.setenv("KILLED", str(tmp_path / "killed"))
    run_search(settings(tmp_path / "run", space=AWKWARD, ranges={}, trials=5))
    trials = study_of(tmp_path / "run").get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
    trained = ("finished", "hopeless")  # which of them, depends on who ended first
    ends = [trial.user_attrs["stopped"] for trial in trials]
    assert Counter("trained" if end in trained else end for end in ends) == expected
    for trial in trials:
        if trial.user_attrs["stopped"] not in trained:
            assert trial.state is TrialState.PRUNED
            assert trial.constraints["baseline"] > 0


def test_a_space_whose_every_network_fails_ends_with_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("FAULT", "always")
    with pytest.raises(
        search.errors.UserError, match=r"the first 3 trials failed; the last one with ValueError: no such"
    ):
        run_search(settings(tmp_path / "run", space=AWKWARD, ranges={}, trials=50))


def test_a_time_limit_ends_the_search_and_keeps_what_runs(tmp_path, monkeypatch):
    since = []

    def over(limit):
        if has_history(tmp_path / "run"):  # both trials run: they were handed out in one go
            since.append(time.monotonic())
        return bool(since)

    monkeypatch.setattr(TimeLimit, "over", over)
    run_search(settings(tmp_path / "run", trials=500, epochs=500, workers=2, race=False))
    assert time.monotonic() - since[0] < 22
    trials = study_of(tmp_path / "run").trials
    taken = [trial for trial in trials if trial.user_attrs.get("reason") == OUT_OF_TIME]
    assert states(tmp_path / "run")["WAITING"] + len(taken) == 2  # of two that ran, none is lost
    assert states(tmp_path / "run")["RUNNING"] == 0


def has_history(folder):
    """Whether a trial has stored curves; looks without Optuna, which would create tables that the search creates."""
    if not (folder / "study.db").exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"file:{folder / 'study.db'}?mode=ro", uri=True)) as database:
            query = "SELECT count(*) FROM trial_user_attributes WHERE key = 'history'"
            return database.execute(query).fetchone()[0] > 0
    except sqlite3.OperationalError:
        return False


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
