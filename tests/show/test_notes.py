"""What the dashboard tells in words: sentences by hand-worked cases, and names that are never markup."""

import math
import re
from dataclasses import replace

import pytest
from builders import SCRIPT, drawn_trials, snapshot, trial

from search.choice.constraints import Constraints
from search.choice.rivals import Rivals
from search.show.notes import markdown, study_note, trial_note
from search.stopping.stopped import Stopped

CEILING = Constraints(0.7, max_gap=0.35)
RISEN = "validation loss 11% above its best of epoch 2, paired z = 5.2, while training loss still fell from 0.4 to 0.2"


def overfit(**known):
    return trial(0, stopped=Stopped.OVERFIT, val=(0.9, 0.6, 0.7), reason=RISEN, **known)


@pytest.mark.parametrize(
    ("ended", "constraints", "first", "second"),
    [
        (trial(0), CEILING, "Trained for all 3 epochs; the last was its best.",
         "Another run is at least as good in both loss and gap."),
        (trial(0, val=(0.9, 0.5, 0.6), front=True), Constraints(0.7, 0.45),
         "Trained for all 3 epochs; epoch 2 was its best.", "It is on the front."),
        (overfit(front=True), Constraints(0.7, 0.45), f"Stopped at epoch 3 of 20: {RISEN}.",
         "Best epoch kept: it is on the front."),
        (overfit(front=True, chosen=True), Constraints(0.7, 0.45), f"Stopped at epoch 3 of 20: {RISEN}.",
         "Best epoch kept: it is the chosen one."),
        (overfit(), Constraints(0.7), f"Stopped at epoch 3 of 20: {RISEN}.",
         "Best epoch kept: another run is at least as good in both loss and gap."),
        (overfit(state="PRUNED"), Constraints(0.7), f"Stopped at epoch 3 of 20: {RISEN}.",
         "Its best epoch, 2, is clearly beaten by another run in both loss and gap."),
        (trial(0, val=(0.9, 0.8, 0.75), train=(0.9, 0.8, 0.75)), CEILING,
         "Trained for all 3 epochs; the last was its best.",
         "It is no better than the linear baseline (0.7000) and never chosen."),
        (trial(0, val=(0.9, 0.8, 0.6), train=(0.9, 0.8, 0.2)), CEILING,
         "Trained for all 3 epochs; the last was its best.",
         "Its gap, 0.4000, is above the ceiling of 0.35: it is never chosen."),
        (trial(0, "PRUNED", Stopped.HOPELESS, reason="after 3 epochs its validation loss may reach 0.4"), CEILING,
         "Given up at epoch 3 of 20: after 3 epochs its validation loss may reach 0.4.",
         "Its figures are those of epoch 3, the best so far: it takes no part in the choice."),
        (trial(0, "PRUNED", Stopped.DIVERGED, val=(math.nan,), train=(math.nan,), reason="its loss is not finite"),
         CEILING, "Stopped at epoch 1 of 20: its loss is not finite.",
         "No epoch gave a finite loss: it counts as infeasible and is never chosen."),
        (trial(0, "PRUNED", Stopped.OUT_OF_MEMORY, val=(), train=()), CEILING, "Out of memory after epoch 0 of 20.",
         "No epoch gave a finite loss: it counts as infeasible and is never chosen."),
        (trial(0, replaced_by=4), CEILING, "Trained for all 3 epochs; the last was its best.",
         "Trial 4 went on with it and stands for it."),
        (trial(0, "FAIL", Stopped.HOPELESS, reason="too far", continues=2), CEILING,
         "Given up at epoch 3 of 20: too far.", "It went on with trial 2, which stays as it was."),
        (trial(0, "FAIL", None), CEILING, "Ended after 3 of 20 epochs without a result.",
         "It was interrupted, and its parameters were queued again, or somebody has ended it from outside."),
    ],
)  # fmt: skip
def test_two_sentences_for_a_trial(ended, constraints, first, second):
    assert trial_note(ended, 20, constraints) == f"{first}\n\n{second}"


def test_a_trial_that_was_left_out_says_why():
    left_out = trial(0, "FAIL", None, val=(), train=(), reason="suggest of the space own turns down width=30")
    assert trial_note(left_out, 20, CEILING) == (
        "Left out before it was trained: suggest of the space own turns down width=30."
    )


def test_a_third_sentence_for_one_of_those_tried_first():
    third = trial_note(trial(0, start="my_space.py 2"), 20, CEILING).split("\n\n")[2]
    assert third == r"One of those tried first: my\_space.py 2."


def test_of_a_database_elsewhere_the_study_is_named():
    search = snapshot(trial(0))
    assert "    gapsearch list" in study_note(search)
    assert "--study" not in study_note(search)
    elsewhere = study_note(replace(search, plan={**search.plan, "elsewhere": True}))
    assert f" --study {search.name}  (name the database as for the search)\n" in f"{elsewhere}\n"


def test_the_study_note_says_what_which_and_why():
    ranges = {"distributions": drawn_trials(2)[0].distributions}
    note = study_note(
        snapshot(
            trial(3, chosen=True, params={"width": 16, "dropout": 0.123456}, **ranges),
            trial(4, "PRUNED", Stopped.HOPELESS, **ranges),
            trial(5, "RUNNING", None),
            max_gap=0.4,
        )
    )
    for part in (
        "# fashion\n",
        "width 8 to 64, augmentation 0 to 1, of the space spaces.cnn",
        "FashionMNIST, 3,000 images to train on and 2,000 to validate on, 28x28x1, 2 classes: shirt, bag.",
        "**Chosen at present: trial 3**, it has the smallest gap.",
        "**Recorded:** val\\_loss 0.5000 ± 0.0100 (linear baseline 0.7000), "
        "gap 0.3000 ± 0.0200, accuracy 87.5% (linear baseline 75.0%, largest class 50.0%), good, best epoch 3.",
        "| width | 16 |\n| dropout | 0.1235 |",
        "A run that does not beat the linear baseline or keep to a gap of 0.4 is PRUNED, so that it is not among them.",
        "The dashboard's own *Hyperparameter Importance* is another measure (PED-ANOVA",
        "2 of 24 trials ended, 1 running: 1 finished, 1 hopeless.",
        "gapsearch confirm runs/fashion/best.yaml",
    ):
        assert part in note


def test_the_study_note_says_what_speaks_against_the_choice():
    note = study_note(snapshot(trial(3, chosen=True), rivals=Rivals(0.911, 0.5), unrecognized=("oak",)))
    assert (
        "**Chosen at present: trial 3**, in accuracy (87.5%) no better than the linear baseline (91.1%); "
        "it has the smallest gap."
    ) in note
    assert "**Never recognized on the validation images (recall 0): oak.**" in note


def test_the_study_note_of_a_search_without_a_choice():
    assert "**Chosen at present:** none." in study_note(snapshot(trial(0, "RUNNING", None)))


@pytest.mark.parametrize("chosen", [True, False])
def test_the_study_note_says_that_images_are_few(chosen):
    note = study_note(snapshot(trial(0, chosen=chosen), data={"val_size": 16, "val_counts": [12, 4]}))
    assert "**From few images: 14 of 16 are right, which any accuracy from 68." in note
    assert "**Classes of fewer than 10 validation images: bag 4.**" in note
    assert ("good as far as 16 images tell" in note) == chosen


def test_many_classes_are_counted():
    note = study_note(snapshot(data={"classes": [f"c{number}" for number in range(100)]}))
    assert "100 classes: c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 90 more." in note


def test_names_are_shown_as_they_are():
    assert markdown("a_b <i>*x*</i>\n| `c`") == r"a\_b \<i\>\*x\*\</i\> \| \`c\`"
    chosen = trial(0, chosen=True, params={SCRIPT: SCRIPT})
    note = study_note(snapshot(chosen, name=SCRIPT, data={"classes": [SCRIPT]}))
    assert note.count(r"\<script\>") == 4
    assert not re.search(r"(?<!\\)<", note)
    assert not re.search(r"(?<!\\)<", trial_note(trial(0, "PRUNED", Stopped.ERROR, reason=SCRIPT), 20, CEILING))
