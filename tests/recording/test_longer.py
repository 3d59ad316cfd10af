"""A start with more epochs goes on with finished runs that were still improving, and with each of them once."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
import yaml
from builders import EASY, outcome, settings, study_of, trial
from optuna.trial import TrialState

from search.choice import choose
from search.command.commands import list_trials
from search.engine import launch
from search.engine.launch import run_search
from search.engine.runner import Runner
from search.recording.longer import KeptCheckpoints
from search.recording.store import Store
from search.results.snapshot import StudySnapshot, read_snapshot
from search.spaces import suggester
from search.stopping.stopped import Stopped
from search.training.checkpoint import load_weights
from search.training.linear_baseline import Baseline
from search.training.precision import Precision
from search.training.trial import Conditions
from search.use.retrain import retrain

SHORT, LONG = 4, 7
SUGGEST = suggester("spaces.mlp", {})
ALL_GO_ON = f"3 finished runs were still improving and go on from epoch {SHORT} to {LONG}\n"


def searched(folder: Path, epochs: int, **changes) -> StudySnapshot:
    """A search of three slow learners, all of which may be chosen, after another start."""
    ranges = {"width": (12, 16), "depth": (2, 3), "batch_size": (16, 24), "learning_rate": (2e-3, 3e-3),
              "dropout": (0.0, 0.1), "augmentation": (0.0, 0.1)}  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "fit_baseline", lambda data: Baseline(val_loss=2.0, val_accuracy=0.2, l2=1.0))
        patch.setattr(choose, "USEFUL", 10.0)
        run_search(settings(folder, epochs=epochs, ranges=ranges, **{"trials": 3} | changes))
    return read_snapshot(study_of(folder))


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A search of few epochs."""
    folder = tmp_path_factory.mktemp("short") / "run"
    taken = searched(folder, SHORT)
    assert all(trial.still_improving and trial.run.feasible for trial in taken.trials)
    return folder


@pytest.fixture(scope="module")
def gone_on(short, tmp_path_factory):
    """The same search after a second start with more epochs."""
    folder = shutil.copytree(short, tmp_path_factory.mktemp("gone_on") / "run")
    searched(folder, LONG)
    return folder


@pytest.fixture
def run(short, tmp_path):
    """A copy of the short search, to go on with."""
    return shutil.copytree(short, tmp_path / "run")


def results(folder: Path):
    """What each configuration came to, by lineage; no lineage has two results."""
    ended = read_snapshot(study_of(folder)).ended
    assert max(Counter(trial.lineage for trial in ended).values()) == 1
    return {trial.lineage: (trial.run.at_best, trial.run.best_epoch, trial.history, trial.params) for trial in ended}


def checkpoints(folder: Path) -> set[str]:
    return {path.name for path in (folder / "checkpoints").iterdir()}


def test_a_run_that_went_on_equals_one_that_was_as_long_from_its_beginning(gone_on, tmp_path):
    searched(tmp_path / "long", LONG)
    assert results(gone_on) == results(tmp_path / "long")
    for ended in read_snapshot(study_of(gone_on)).ended:
        weights, losses = load_weights(gone_on / "weights" / f"{ended.number}.pt")
        same, same_losses = load_weights(tmp_path / "long" / "weights" / f"{ended.lineage}.pt")
        assert all(torch.equal(weights[name], same[name]) for name in same)
        assert (losses == same_losses).all()


def test_the_longer_run_stands_for_the_shorter_everywhere(gone_on, capsys):
    taken = read_snapshot(study_of(gone_on))
    assert [trial.continues for trial in taken.trials[:3]] == [None] * 3
    assert sorted(trial.continues for trial in taken.trials[3:]) == [0, 1, 2]
    assert {trial.number for trial in taken.ended} == {run.number for run in taken.runs} == {3, 4, 5}
    assert not any(trial.front or trial.chosen for trial in taken.trials[:3])
    assert {*taken.band, taken.chosen} <= {3, 4, 5}
    assert {path.stem.split(".")[0] for path in (gone_on / "weights").iterdir()} <= {"3", "4", "5"}
    list_trials(gone_on, None, None, csv=False)
    assert f"3 trials: 3 {Stopped.FINISHED}" in capsys.readouterr().out
    assert "3 of 3 trials have ended" in (gone_on / "report.html").read_text()


def test_the_best_of_them_can_be_trained_again(gone_on):
    content = yaml.safe_load((gone_on / "best.yaml").read_text())
    assert SHORT < content["epochs"] <= LONG
    assert retrain(gone_on / "best.yaml", Path("data"), "cpu")


def test_checkpoints_are_kept_of_the_runs_that_may_go_on_alone(short, gone_on):
    assert checkpoints(short) == {"0.pt", "1.pt", "2.pt"}
    improving = {f"{trial.lineage}.pt" for trial in read_snapshot(study_of(gone_on)).ended if trial.still_improving}
    assert checkpoints(gone_on) == improving


def test_it_says_how_many_go_on_and_they_do_not_count(run, said):
    taken = searched(run, LONG, trials=4)
    assert ALL_GO_ON in said()
    assert f"1 trial and 3 finished ones of at most {LONG} epochs on 2 workers" in said()
    assert Counter(trial.state for trial in taken.trials) == {"COMPLETE": 7}
    assert len(taken.ended) == 4
    assert len(searched(run, LONG, trials=4).trials) == 7  # and none goes on twice


def test_a_run_whose_checkpoint_is_lost_stays_as_it_is(run, said):
    (run / "checkpoints" / "0.pt").unlink()
    (run / "checkpoints" / "2.pt").write_bytes(b"garbage")
    taken = searched(run, LONG)
    assert f"1 finished run was still improving and goes on from epoch {SHORT} to {LONG}\n" in said()
    lost = "2 runs that could have gone on stay as they are, for want of a sound checkpoint: trial 0, trial 2\n"
    assert lost in said()
    assert [trial.epochs_run for trial in taken.ended] == [SHORT, SHORT, LONG]
    assert len(taken.trials) == 4


def test_with_fewer_epochs_than_before_runs_stay_as_they_are(run, said):
    taken = searched(run, SHORT - 2, trials=4)
    assert f"runs of up to {SHORT} epochs stay as they are; from now on each has at most {SHORT - 2}\n" in said()
    assert [trial.epochs_run for trial in taken.ended] == [SHORT, SHORT, SHORT, SHORT - 2]


class Killed(BaseException):
    """As if the process had been killed here."""


@pytest.mark.parametrize(
    ("owner", "method", "recorded"),
    [(Store, "further_first", 0), (Store, "record_ended", 0), (Runner, "_ended", 1), (KeptCheckpoints, "ended", 1)],
    ids=["when all are queued", "before the end of one is recorded", "after it", "before its checkpoint is seen to"],
)
def test_killed_at_any_moment_no_result_is_lost_and_none_trained_twice(
    gone_on, run, monkeypatch, owner, method, recorded
):
    def killed(*arguments, **options):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, killed)
        with pytest.raises(Killed):
            searched(run, LONG)
    left = read_snapshot(study_of(run))
    assert sorted(trial.lineage for trial in left.ended) == [0, 1, 2]
    assert sum(trial.epochs_run == LONG for trial in left.ended) == recorded
    searched(run, LONG)
    assert results(run) == results(gone_on)
    assert checkpoints(run) == checkpoints(gone_on)
    assert len(study_of(run).get_trials(states=(TrialState.COMPLETE,))) == 6


def test_a_checkpoint_that_is_lost_meanwhile_costs_nothing(run, monkeypatch, said):
    def lost(store):
        for path in (run / "checkpoints").iterdir():
            path.unlink()
        return first(store)

    first = Store.further_first
    monkeypatch.setattr(Store, "further_first", lost)
    taken = searched(run, LONG)
    assert [trial.epochs_run for trial in taken.ended] == [SHORT] * 3
    assert [trial.stopped for trial in taken.trials[3:]] == [Stopped.ERROR] * 3
    assert said().count("error: DamagedFile: No such file or directory") == 3
    assert len(searched(run, LONG).trials) == 6  # and they are not tried again


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture
def store(url):
    """With a finished trial, and one in the queue that is to go on with it."""
    store = Store(url, "digits", seed=0)
    store.ask(SUGGEST)
    store.record_ended(outcome(0), EASY, "cpu", [])
    store.queue_further(0)
    return store


def test_it_has_the_parameters_seed_and_lineage_and_does_not_count(store):
    assert (store.count(), store.queued_further()) == (1, [0])
    trial, config, lineage = store.ask(SUGGEST)
    finished = store.snapshot().trials[0]
    assert (trial.params, config, lineage) == (finished.params, finished.config, 0)
    assert (store.continues(1), store.count()) == (0, 1)
    assert not store.further_first()
    store.interrupt(1)
    assert store.further_first()
    assert (store.count(), store.queued_further()) == (1, [0])
    store.ask(SUGGEST)
    store.record_ended(outcome(2, val=[0.9, 0.6, 0.5, 0.45], train=[0.8, 0.4, 0.2, 0.1]), EASY, "cpu", [])
    assert (store.count(), store.queued_further()) == (1, [])
    assert [trial.replaced_by for trial in store.snapshot().trials] == [2, 2, None]
    assert store.ask(SUGGEST)[2] == 1  # the next configuration


@pytest.mark.parametrize(
    ("stopped", "state"),
    [
        (Stopped.FINISHED, "COMPLETE"),
        (Stopped.OVERFIT, "COMPLETE"),
        (Stopped.DIVERGED, "COMPLETE"),
        (Stopped.HOPELESS, "FAIL"),
        (Stopped.ERROR, "FAIL"),
        (Stopped.OUT_OF_MEMORY, "FAIL"),
    ],
)
def test_given_up_it_leaves_the_finished_one_as_the_result(url, store, stopped, state):
    store.ask(SUGGEST)
    assert store.record_ended(outcome(1, stopped), EASY, "cpu", []).state == state
    taken = store.snapshot()
    assert [trial.number for trial in taken.ended] == ([1] if state == "COMPLETE" else [0])
    assert store.count() == Store(url, "digits", seed=0).count() == 1


def test_where_no_trial_is_missing_it_comes_before_those_that_were_queued_earlier(url):
    store = Store(url, "digits", seed=0)
    for _ in range(2):
        store.ask(SUGGEST)
    store.record_ended(outcome(0), EASY, "cpu", [])
    store.interrupt(1)
    store.study.enqueue_trial({"depth": 2})
    assert not store.further_first()
    store.queue_further(0)
    assert store.further_first()
    assert store.continues(store.ask(SUGGEST)[0].number) == 0
    waiting = store.study.get_trials(states=(TrialState.WAITING,))
    assert [trial.system_attrs["fixed_params"] for trial in waiting] == [store.study.trials[1].params, {"depth": 2}]
    assert store.count() == 1


def test_the_checkpoint_of_a_run_that_leaves_the_band_is_removed(tmp_path):
    conditions = Conditions(EASY, Precision(), tmp_path, "study", "data")
    (tmp_path / "checkpoints").mkdir()
    runs = []
    kept = KeptCheckpoints(conditions, StudySnapshot("digits", {}, {}, {}, EASY, ()))
    losses = {0: [0.7, 0.6, 0.5], 1: [0.7, 0.6, 0.52], 2: [0.5, 0.4, 0.41], 3: [0.5, 0.4, 0.3]}
    for number, val in losses.items():
        conditions.checkpoint(number).touch()
        ended = trial(number, val=val, train=val, lineage=number)
        kept.ended(ended)
        runs.append(ended.run)
        kept.update(runs)
        assert checkpoints(tmp_path) == {0: {"0.pt"}, 1: {"0.pt", "1.pt"}, 2: set(), 3: {"3.pt"}}[number]
