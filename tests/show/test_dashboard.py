"""The publisher: what it draws and writes into the dashboard, how often, and that it ends no search."""

import logging
import math
import sys

import optuna
import pytest
from builders import EASY, recorded_study, recorded_trial, trial
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState
from optuna_dashboard import get_note

from search.results.artifacts import artifact_store
from search.results.snapshot import read_snapshot
from search.show import dashboard
from search.show.dashboard import Pace, Publisher
from search.stopping.stopped import Stopped


def curves(stopped):
    """Of trial 2, about to end."""
    return trial(2, "RUNNING", stopped, val=(0.9, 0.6, 0.7))


def test_the_pace_keeps_to_its_share():
    now = 0.0
    pace = Pace(0.01, 2.0, clock=lambda: now)
    assert not pace.due()
    now = 2.0
    assert pace.due()
    with pace.measured():
        now = 2.5  # half a second of work: the next one after 50
    assert not pace.due()
    now = 52.4
    assert not pace.due()
    now = 52.6
    assert pace.due()


@pytest.fixture
def study(tmp_path):
    """Two ended trials and a running one."""
    study = recorded_study(
        [recorded_trial(0, epochs=3), recorded_trial(1, Stopped.HOPELESS, epochs=3)],
        name="s",
        storage=f"sqlite:///{tmp_path / 'study.db'}",
        baseline={"val_loss": 0.7},
        plan={"trials": 3, "epochs": 20, "out": "runs/s"},
    )
    study.ask()
    return study


@pytest.fixture
def told():
    """What the person at the screen is told, whether or not the library shows its log itself."""
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = logging.getLogger("search.show.dashboard")
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


def graphs(study):
    attributes = study._storage.get_study_system_attrs(study._study_id)
    return {key.split(":")[2] for key in attributes if key.startswith("dashboard:plot_data:")}


def writable(study, number):
    return optuna.trial.Trial(study, study.trials[number]._trial_id)


def note_of(study, number):
    return get_note(writable(study, number))


def test_at_the_end_everything_is_published(study, tmp_path):
    Publisher(study, tmp_path, EASY, 20).close()
    assert graphs(study) == {"curves", "loss-against-gap", "epochs"}
    assert get_note(study).startswith("# s\n")
    assert note_of(study, 0).endswith("It is on the front.")
    assert note_of(study, 1).startswith("Given up at epoch 3 of 20.")
    assert note_of(study, 2) == ""


def test_importances_are_drawn_where_there_are_trials_enough(tmp_path):
    trials = [recorded_trial(number, val_loss=0.5 + 0.01 * number) for number in range(8)]
    study = recorded_study(trials)
    Publisher(study, tmp_path, EASY, 10).close()
    assert graphs(study) == {"curves", "loss-against-gap", "epochs", "importance"}


def test_a_trial_that_waits_for_its_start_has_no_note(study, tmp_path):
    study.enqueue_trial({"dropout": 0.1})
    Publisher(study, tmp_path, EASY, 20).close()
    assert study.trials[3].state == TrialState.WAITING
    assert note_of(study, 3) == ""


def test_a_trial_that_ends_gets_its_curves_and_its_note(study, tmp_path):
    (tmp_path / "artifacts").mkdir()
    publisher = Publisher(study, tmp_path, EASY, 20)
    publisher.attach_curves(curves(Stopped.HOPELESS), writable(study, 2))
    study.tell(2, state=TrialState.PRUNED)
    publisher.ended(2, [], None)
    [artifact] = (tmp_path / "artifacts").iterdir()
    assert "trial 2: hopeless" in artifact.read_text()
    assert note_of(study, 2).endswith(f"/{artifact.name})")


def test_curves_go_to_the_bucket_that_the_study_names(study, tmp_path, bucket):
    study.set_user_attr("artifacts", f"{bucket}/of-one-study")
    Publisher(study, tmp_path, EASY, 20).attach_curves(curves(Stopped.HOPELESS), writable(study, 2))
    [meta] = get_all_artifact_meta(writable(study, 2))
    with artifact_store(tmp_path, f"{bucket}/of-one-study").open_reader(meta.artifact_id) as kept:
        assert b"trial 2: hopeless" in kept.read()
    assert not (tmp_path / "artifacts").exists()


def test_after_a_picture_that_took_long_to_fail_there_is_none_for_a_while(study, tmp_path, monkeypatch, told):
    clock, tries = [0.0], []

    class Away:
        def write(self, name, content):
            tries.append(clock[0])
            clock[0] += 10.0
            raise OSError("no answer")

    monkeypatch.setattr(dashboard.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(dashboard, "artifact_store", lambda folder, url: Away())
    publisher = Publisher(study, tmp_path, EASY, 20)
    for clock[0] in (100.0, 111.0, 2109.0, 2111.0):
        publisher.attach_curves(curves(Stopped.HOPELESS), writable(study, 2))
    assert tries == [100.0, 2111.0]  # 10 s are 0.5% of 2,000
    assert len(get_all_artifact_meta(writable(study, 2))) == 2
    assert len(told) == 1
    assert "no answer" in told[0]


def test_a_trial_without_curves_gets_no_image(study, tmp_path):
    (tmp_path / "artifacts").mkdir()
    nothing = trial(2, "RUNNING", Stopped.DIVERGED, val=(math.nan,), train=(math.inf,))
    Publisher(study, tmp_path, EASY, 20).attach_curves(nothing, writable(study, 2))
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_a_later_start_writes_only_what_has_changed(study, tmp_path, monkeypatch):
    Publisher(study, tmp_path, EASY, 20).close()
    written = []
    monkeypatch.setattr(dashboard, "save_note", lambda place, text: written.append(text))
    Publisher(study, tmp_path, EASY, 20).close()
    assert [text[:3] for text in written] == ["# s"]


def test_a_later_start_takes_back_what_a_killed_one_left(study, tmp_path):
    study.set_user_attr("choice", {"trial": 0, "band": [0], "because": "by hand"})
    Publisher(study, tmp_path, EASY, 20).close()
    assert note_of(study, 0).endswith("It is the chosen one.")
    study.set_user_attr("choice", None)  # and killed before it was published
    study.add_trial(recorded_trial(3, epochs=3))  # likewise: it has no note
    Publisher(study, tmp_path, EASY, 20).close()
    assert note_of(study, 0).endswith("It is on the front.")
    assert note_of(study, 3)


def test_a_dashboard_that_keeps_notes_otherwise_ends_no_search(study, tmp_path, monkeypatch, told):
    monkeypatch.setitem(sys.modules, "optuna_dashboard._note", None)  # its import fails
    Publisher(study, tmp_path, EASY, 20).close()
    assert note_of(study, 0).endswith("It is on the front.")
    assert len(told) == 1


def test_beyond_a_number_only_trials_that_matter_get_notes(study, tmp_path, monkeypatch):
    monkeypatch.setattr(dashboard, "MOST_NOTES", 0)
    Publisher(study, tmp_path, EASY, 20).close()
    assert [bool(note_of(study, number)) for number in range(3)] == [True, False, False]


def test_what_fails_is_told_once_and_ends_nothing(study, tmp_path, monkeypatch, told):
    def broken(*arguments, **options):
        raise OSError("disk full")

    monkeypatch.setattr(dashboard, "save_note", broken)
    publisher = Publisher(study, tmp_path, EASY, 20)
    publisher.ended(0, [], None)
    publisher.close()
    assert len(told) == 1
    assert told[0].startswith("the dashboard's graphs and notes are not all current")
    assert "disk full" in told[0]


def test_a_trial_ended_from_outside_is_no_failure(study, tmp_path, told):
    publisher = Publisher(study, tmp_path, EASY, 20)
    study.tell(2, state=TrialState.FAIL)
    publisher.attach_curves(curves(Stopped.CANCELLED), writable(study, 2))
    publisher.close()
    assert told == []
    assert read_snapshot(study).trials[2].state == "FAIL"
    assert note_of(study, 2).startswith("Ended after 0 of 20 epochs")
