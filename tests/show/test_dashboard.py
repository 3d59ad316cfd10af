"""What stands in the dashboard: sentences by hand-worked cases, escaping, and a publisher that ends no search."""

import math
import re
import socket
import xml.etree.ElementTree as ElementTree

import optuna
import pytest
from builders import SCRIPT, finished_trials, story, trial
from optuna.trial import TrialState
from optuna_dashboard import get_note

from search.choice.constraints import Terms
from search.cli import main
from search.results.trial_result import trial_results
from search.show import dashboard
from search.show.dashboard import Pace, Publisher
from search.show.notes import markdown, study_note, trial_note
from search.show.server import local_only
from search.show.trial_svg import picture
from search.training.trial import Outcome

TERMS = Terms(0.7, max_gap=0.35)
RISEN = "validation loss 11% above its best of epoch 2, paired z = 5.2, while training loss still fell from 0.4 to 0.2"
CURVES = {"val_loss": (0.9, 0.6, 0.7), "train_loss": (0.8, 0.4, 0.2)}


def overfit(**figures):
    return trial(0, stopped="overfit", val=CURVES["val_loss"], train=CURVES["train_loss"], reason=RISEN, **figures)


@pytest.mark.parametrize(
    ("ended", "first", "second"),
    [
        (trial(0), "Trained for all 3 epochs; the last was its best.",
         "Another run is at least as good in both loss and gap."),
        (trial(0, val=(0.9, 0.5, 0.6), front=True), "Trained for all 3 epochs; epoch 2 was its best.",
         "It is on the front."),
        (overfit(front=True), f"Stopped at epoch 3 of 20: {RISEN}.", "Best epoch kept: it is on the front."),
        (overfit(front=True, chosen=True), f"Stopped at epoch 3 of 20: {RISEN}.",
         "Best epoch kept: it is the chosen one."),
        (overfit(state="PRUNED"), f"Stopped at epoch 3 of 20: {RISEN}.",
         "Its best epoch, 2, is clearly beaten by another run in both loss and gap."),
        (trial(0, val=(0.9, 0.8, 0.75), train=(0.9, 0.8, 0.75)), "Trained for all 3 epochs; the last was its best.",
         "It is no better than the linear baseline (0.7000) and never chosen."),
        (trial(0, val=(0.9, 0.8, 0.6), train=(0.9, 0.8, 0.2)), "Trained for all 3 epochs; the last was its best.",
         "Its gap, 0.4000, is above the ceiling of 0.35: it is never chosen."),
        (trial(0, "PRUNED", "hopeless", reason="after 3 epochs its validation loss may reach 0.4"),
         "Given up at epoch 3 of 20: after 3 epochs its validation loss may reach 0.4.",
         "Its figures are those of epoch 3, the best so far: it takes no part in the choice."),
        (trial(0, "PRUNED", "diverged", val=(math.nan,), train=(math.nan,), reason="its loss is not finite"),
         "Stopped at epoch 1 of 20: its loss is not finite.",
         "No epoch gave a finite loss: it counts as infeasible and is never chosen."),
        (trial(0, "PRUNED", "out_of_memory", val=(), train=()), "Out of memory after epoch 0 of 20.",
         "No epoch gave a finite loss: it counts as infeasible and is never chosen."),
        (trial(0, "FAIL", None), "Ended after 3 of 20 epochs without a result.",
         "It was interrupted, and its parameters were queued again, or somebody has ended it from outside."),
    ],
)  # fmt: skip
def test_two_sentences_for_a_trial(ended, first, second):
    if ended.stopped == "overfit" and ended.state == "PRUNED":
        assert trial_note(ended, 20, Terms(0.7)) == f"{first}\n\n{second}"
    else:
        terms = Terms(0.7, 0.45) if ended.stopped == "overfit" or ended.front else TERMS
        assert trial_note(ended, 20, terms) == f"{first}\n\n{second}"


def test_the_study_note_says_what_which_and_why():
    note = study_note(
        story(
            trial(3, chosen=True, params={"width": 16, "dropout": 0.123456}),
            trial(4, "PRUNED", "hopeless"),
            trial(5, "RUNNING", None),
            finished=finished_trials(2),
            max_gap=0.4,
        )
    )
    for part in (
        "# fashion\n",
        "width 8 to 64, augmentation 0 to 1, of the space spaces.cnn",
        "FashionMNIST, 3,000 images to train on and 2,000 to validate on, 28x28x1, 2 classes: shirt, bag.",
        "**Chosen at present: trial 3**, it has the smallest gap: val\\_loss 0.5000 ± 0.0100 (linear baseline 0.7000), "
        "gap 0.3000 ± 0.0200, accuracy 87.5%, good, best epoch 3.",
        "| width | 16 |\n| dropout | 0.1235 |",
        "*Best Trials*: those ignore that a run must beat the linear baseline and keep to a gap of 0.4.",
        "2 of 24 trials ended, 1 running: 1 finished, 1 hopeless.",
        "python -m search confirm runs/fashion/best.yaml",
    ):
        assert part in note


def test_the_study_note_of_a_search_without_a_choice():
    assert "**Chosen at present:** none." in study_note(story(trial(0, "RUNNING", None)))


def test_many_classes_are_counted():
    note = study_note(story(data={"classes": [f"c{number}" for number in range(100)]}))
    assert "100 classes: c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 90 more." in note


def test_names_are_shown_as_they_are():
    assert markdown("a_b <i>*x*</i>\n| `c`") == r"a\_b \<i\>\*x\*\</i\> \| \`c\`"
    note = study_note(story(trial(0, chosen=True, params={SCRIPT: SCRIPT}), name=SCRIPT, data={"classes": [SCRIPT]}))
    assert note.count(r"\<script\>") == 4
    assert not re.search(r"(?<!\\)<", note)
    assert not re.search(r"(?<!\\)<", trial_note(trial(0, "PRUNED", "error", reason=SCRIPT), 20, TERMS))


def test_the_picture_marks_best_epoch_and_stop():
    drawn = picture(Outcome(7, "overfit", None, CURVES, best_epoch=1), planned=20)
    texts = [element.text for element in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert {"trial 7: overfit", "best: epoch 2", "overfit: epoch 3", "★", "✕"} <= set(texts)


def test_a_picture_of_nothing_is_none():
    assert picture(Outcome(0, "error"), planned=20) is None
    nothing = {"val_loss": [math.nan], "train_loss": [math.inf]}
    assert picture(Outcome(0, "diverged", None, nothing), planned=20) is None


def test_a_picture_of_losses_that_are_not_finite():
    curves = {"val_loss": [1.0, math.nan, 2.0], "train_loss": [1.0, math.inf, 0.0]}
    assert "nan" not in picture(Outcome(0, "diverged", None, curves, best_epoch=0), planned=1).lower()


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
    study = optuna.create_study(
        storage=f"sqlite:///{tmp_path / 'study.db'}", study_name="s", directions=["minimize"] * 2
    )
    study.set_user_attr("baseline", {"val_loss": 0.7})
    study.set_user_attr("plan", {"trials": 3, "epochs": 20, "out": "runs/s"})
    for stopped, state in (("finished", TrialState.COMPLETE), ("hopeless", TrialState.PRUNED)):
        running = study.ask()
        attributes = {
            "stopped": stopped, "val_loss": 0.5, "gap": 0.1, "val_loss_se": 0.01, "gap_se": 0.01, "train_loss": 0.4,
            "train_accuracy": 0.9, "val_accuracy": 0.8, "accuracy_gap": 0.1, "parameters": 10, "best_epoch": 2,
            "epochs_run": 3, "fit": "good", "history": {"val_loss": [0.9, 0.6, 0.5], "train_loss": [0.8, 0.5, 0.4]},
        }  # fmt: skip
        for name, value in attributes.items():
            running.set_user_attr(name, value)
        running.set_constraint("baseline", -0.2)
        study.tell(running, [0.5, 0.1] if state is TrialState.COMPLETE else None, state=state)
    study.ask()
    return study


def graphs(study):
    attributes = study._storage.get_study_system_attrs(study._study_id)
    return {key.split(":")[2] for key in attributes if key.startswith("dashboard:plot_data:")}


def running(study):
    return optuna.trial.Trial(study, study.trials[2]._trial_id)


def note_of(study, number):
    return get_note(optuna.trial.Trial(study, study.trials[number]._trial_id))


def test_at_the_end_everything_is_published(study, tmp_path):
    Publisher(study, tmp_path, Terms(0.7), 20).close()
    assert graphs(study) == {"curves", "loss-against-gap", "epochs"}
    assert get_note(study).startswith("# s\n")
    assert note_of(study, 0).endswith("It is on the front.")
    assert note_of(study, 1).startswith("Given up at epoch 3 of 20.")
    assert note_of(study, 2) == ""


def test_a_trial_that_ends_gets_its_picture_and_its_note(study, tmp_path):
    (tmp_path / "artifacts").mkdir()
    publisher = Publisher(study, tmp_path, Terms(0.7), 20)
    publisher.picture(Outcome(2, "hopeless", None, CURVES, best_epoch=1), running(study))
    study.tell(2, state=TrialState.PRUNED)
    publisher.ended(2, [], None)
    [artifact] = (tmp_path / "artifacts").iterdir()
    assert "trial 2: hopeless" in artifact.read_text()
    assert note_of(study, 2).endswith(f"/{artifact.name})")


def test_a_later_start_writes_only_what_has_changed(study, tmp_path, monkeypatch):
    Publisher(study, tmp_path, Terms(0.7), 20).close()
    written = []
    monkeypatch.setattr(dashboard, "save_note", lambda place, text: written.append(text))
    Publisher(study, tmp_path, Terms(0.7), 20).close()
    assert [text[:3] for text in written] == ["# s"]


def test_beyond_a_number_only_trials_that_matter_get_notes(study, tmp_path, monkeypatch):
    monkeypatch.setattr(dashboard, "MOST_NOTES", 0)
    Publisher(study, tmp_path, Terms(0.7), 20).close()
    assert [bool(note_of(study, number)) for number in range(3)] == [True, False, False]


def test_what_fails_is_told_once_and_ends_nothing(study, tmp_path, monkeypatch):
    def broken(*arguments, **options):
        raise OSError("disk full")

    monkeypatch.setattr(dashboard, "save_note", broken)
    said = []
    publisher = Publisher(study, tmp_path, Terms(0.7), 20, said.append)
    publisher.ended(0, [], None)
    publisher.close()
    assert said == [line for line in said if line.startswith("the dashboard's graphs and notes are not all current")]
    assert len(said) == 1
    assert "disk full" in said[0]


def test_a_trial_ended_from_outside_is_no_failure(study, tmp_path):
    said = []
    publisher = Publisher(study, tmp_path, Terms(0.7), 20, said.append)
    study.tell(2, state=TrialState.FAIL)
    publisher.picture(Outcome(2, "cancelled", None, CURVES, best_epoch=1), running(study))
    publisher.close()
    assert said == []
    assert trial_results(study)[2].state == "FAIL"
    assert note_of(study, 2).startswith("Ended after 0 of 20 epochs")


@pytest.mark.parametrize(
    ("host", "answered"),
    [("127.0.0.1:8080", True), ("localhost", True), ("[::1]:8080", True), ("evil.example:8080", False), ("", False)],
)
def test_it_answers_under_this_machines_own_name_only(host, answered):
    statuses = []
    application = local_only(lambda environ, start: [b"dashboard"])
    body = application({"HTTP_HOST": host}, lambda status, headers: statuses.append(status))
    assert (body == [b"dashboard"]) == answered
    assert statuses == [] if answered else ["403 Forbidden"]


def test_no_such_folder(tmp_path, capsys):
    assert main(["dashboard", str(tmp_path / "none")]) == 2
    remedy = "name a run folder such as runs/digits"
    assert capsys.readouterr().err == f"error: there is no folder {tmp_path / 'none'}; {remedy}\n"


def test_no_study_in_the_folder(tmp_path, capsys):
    assert main(["dashboard", str(tmp_path)]) == 2
    assert "there is no" in capsys.readouterr().err


def test_a_port_that_is_taken(study, tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["dashboard", str(tmp_path), "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert error == f"error: port {port} is taken, by another dashboard perhaps; name another one with --port\n"
