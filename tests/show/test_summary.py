"""What stands on the terminal at the end of a search."""

from pathlib import Path

import pytest
from builders import snapshot, trial

from search.choice.rivals import Rivals
from search.show.summary import ROWS, summary
from search.stopping.stopped import Stopped


def lines(searched, folder="runs/s", storage=None):
    return summary(searched, Path(folder), storage).splitlines()


def rows(shown):
    """The numbers in the table, after its header."""
    return [line.replace("->", "  ").split()[0] for line in shown[2 : shown.index("", 1)]]


def test_the_table_the_stops_the_choice_and_what_to_do_next():
    shown = lines(
        snapshot(
            trial(0, front=True, chosen=True),
            trial(1, stopped=Stopped.OVERFIT, val=(0.9, 0.6, 0.7)),
            trial(2, "PRUNED", Stopped.HOPELESS, val=(1.0,), train=(1.0,)),
            trial(3, "RUNNING", None),
        )
    )
    assert shown[0] == ""
    assert rows(shown) == ["0", "1"]
    assert [line.endswith("front") for line in shown[2:4]] == [True, False]
    assert "3 trials: 1 finished, 1 overfit, 1 hopeless; 7 of 23 epochs trained, 70% saved" in shown
    assert shown[-5:] == [
        "chosen: trial 0, it has the smallest gap",
        "        recorded: val_loss 0.5000 (linear baseline 0.7000), gap 0.3000, "
        "accuracy 87.5% (linear baseline 75.0%, largest class 50.0%), good, epoch 3",
        "written: runs/s/best.yaml",  # there is no best.pt beside it
        "all trials: gapsearch list runs/s",
        "dashboard: gapsearch dashboard runs/s",
    ]


def test_the_best_few_the_feasible_ones_first_and_the_chosen_one():
    others = [trial(n, val=(0.3 + n / 100,), train=(0.1,)) for n in range(1, ROWS + 1)]
    above = trial(ROWS + 1, val=(0.2,), train=(0.1,), feasible=False)
    chosen = trial(0, val=(0.6,), train=(0.5,), chosen=True)
    assert rows(lines(snapshot(chosen, *others, above))) == [*(str(n) for n in range(1, ROWS + 1)), "0"]
    assert rows(lines(snapshot(*others[:2], above))) == ["1", "2", str(ROWS + 1)]


def test_the_first_line_of_the_result_says_what_is_more_accurate():
    shown = lines(snapshot(trial(0, chosen=True), rivals=Rivals(0.911, 0.9), unrecognized=("oak", "elm")))
    assert (
        "chosen: trial 0, in accuracy (87.5%) no better than the linear baseline (91.1%) and the largest class "
        "(90.0%); it has the smallest gap"
    ) in shown
    assert "        never recognized on the validation images (recall 0): oak, elm" in shown


def test_the_expected_accuracy_is_held_against_them_too():
    expected = {"loss": 0.5, "loss_interval": [0.4, 0.6], "gap": 0.1, "accuracy": 0.7, "seeds": 2}
    shown = lines(snapshot(trial(0, chosen=True), expected=expected))
    first = next(line for line in shown if line.startswith("chosen: "))
    assert first.startswith("chosen: trial 0, in accuracy (70.0%) no better than the linear baseline (75.0%); it has")
    assert "accuracy 70.0% (linear baseline 75.0%, largest class 50.0%), from 2 seeds" in shown[shown.index(first) + 1]


def test_a_result_from_few_images_is_called_that():
    few = {"classes": ["oak", "elm"], "val_size": 16, "val_counts": [9, 7]}
    shown = lines(snapshot(trial(0, chosen=True, val_loss_se=0.0), data=few))
    recorded = next(number for number, line in enumerate(shown) if line.startswith("        recorded: "))
    assert shown[recorded].endswith("largest class 50.0%), good as far as 16 images tell, epoch 3")
    assert shown[recorded + 1].startswith("        from few images: 14 of 16 are right, which any accuracy from 68.")
    assert shown[recorded + 1].endswith(
        "; the linear baseline (75.0%) lies in that range; that the standard error is 0.0000 is no certainty"
    )
    assert shown[recorded + 2] == "        classes of fewer than 10 validation images: oak 9, elm 7"


def test_that_none_is_chosen_may_be_due_to_few_images_too():
    shown = lines(snapshot(trial(0, val=(0.9,), train=(0.9,)), data={"val_size": 8, "val_counts": [4, 4]}))
    assert any(line.startswith("        from few images: 7 of 8 are right") for line in shown)
    assert "        classes of fewer than 10 validation images: shirt 4, bag 4" in shown


def test_one_trial_is_one():
    assert "1 trial: 1 finished" in lines(snapshot(trial(0), epochs=3))


def test_nothing_saved_is_not_told():
    assert "2 trials: 2 finished" in lines(snapshot(trial(0), trial(1), epochs=3))


@pytest.mark.parametrize(("max_gap", "ceiling"), [(None, ""), (0.2, " with a gap of at most 0.2")])
def test_where_nothing_may_be_chosen_the_nearest_is_named(max_gap, ceiling):
    infeasible = [trial(n, val=(0.9 + n,), train=(0.9 + n,)) for n in range(2)]
    shown = lines(snapshot(*infeasible, max_gap=max_gap))
    assert (
        f"chosen: none. No trial beats the linear baseline (val_loss 0.7000){ceiling}; no best.yaml is written" in shown
    )
    nearest = "        nearest: trial 0, val_loss 0.9000, gap 0.0000, accuracy 87.5% "
    nearest += "(linear baseline 75.0%, largest class 50.0%)"
    assert nearest in shown
    shown = lines(snapshot(*infeasible, max_gap=max_gap, epochs=1))
    assert f"{nearest}; its last epoch was its best, a larger --epochs may help" in shown


def test_where_all_overfit_before_they_may_be_chosen_the_nearest_is_named():
    overfit = [trial(n, "PRUNED", stopped=Stopped.OVERFIT, val=(0.9, 0.8), train=(0.8, 0.3)) for n in range(3)]
    shown = "\n".join(lines(snapshot(*overfit, max_gap=0.1, epochs=5)))
    assert "chosen: none. No trial beats the linear baseline" in shown
    assert "with a gap of at most 0.1" in shown
    assert "nearest: trial 0" in shown


def test_a_search_without_a_result():
    shown = lines(snapshot())
    assert shown[1] == "no trial has a result yet"
    assert "0 trials: none" in shown
    assert "nothing to choose from yet" in shown


def test_of_a_database_elsewhere_the_password_is_not_shown():
    shown = lines(snapshot(), "runs/two words", "postgresql://me:secret@host/db")
    assert shown[-1] == "dashboard: gapsearch dashboard 'runs/two words'  (name the database as for the search)"
    assert not any("secret" in line for line in shown)
