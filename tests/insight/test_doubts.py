"""What speaks against the chosen configuration."""

from builders import snapshot, trial

from search.choice.rivals import Rivals
from search.insight.doubts import because, beside, doubt, held_against, never_recognized

BOTH = Rivals(0.711, 0.512)


def test_what_stands_beside_an_accuracy():
    assert beside(BOTH) == "linear baseline 71.1%, largest class 51.2%"
    assert held_against(0.671, BOTH) == "67.1% (linear baseline 71.1%, largest class 51.2%)"
    assert (beside(Rivals()), held_against(0.671, Rivals())) == ("", "67.1%")


def test_the_lowest_accuracy_counts():
    recorded = {"val_accuracy": 0.8}
    assert doubt(recorded, {"accuracy": 0.72}, BOTH, 0.5) == ""
    said = "in accuracy (67.1%) no better than the linear baseline (71.1%)"
    assert doubt(recorded, {"accuracy": 0.671}, BOTH, 0.5) == said
    low = {"val_accuracy": 0.4}
    assert doubt(low, None, BOTH, 0.5).endswith(
        "no better than the linear baseline (71.1%) and the largest class (51.2%)"
    )
    assert doubt(low, None, Rivals(), 0.5) == ""


def test_an_expected_loss_that_the_baseline_has_too():
    recorded = {"val_accuracy": 0.8, "val_loss": 0.01}
    assert doubt(recorded, {"accuracy": 0.8, "loss": 0.49}, BOTH, 0.5) == ""
    said = "in expected loss (0.6000) no better than the linear baseline (0.5000)"
    assert doubt(recorded, {"accuracy": 0.8, "loss": 0.6}, BOTH, 0.5) == said
    both = doubt(recorded, {"accuracy": 0.7, "loss": 0.6}, BOTH, 0.5)
    assert both == f"{said}, and in accuracy (70.0%) no better than the linear baseline (71.1%)"


def test_where_classes_weigh_alike_balanced_accuracy_counts():
    """Of images 95:5; 90% right in both classes: less than the larger class has, and far better than either rival."""
    recorded, expected = ({f"{split}balanced_accuracy": 0.9, f"{split}accuracy": 0.9} for split in ("val_", ""))
    rivals = Rivals(0.95, 0.95, baseline_balanced=0.6)
    assert doubt(recorded, expected, rivals, 0.5, alike=2) == ""
    assert doubt(recorded, expected, rivals, 0.5).startswith(
        "in accuracy (90.0%) no better than the linear baseline (95.0%)"
    )
    worse = doubt(recorded, {"balanced_accuracy": 0.5, "accuracy": 0.9}, rivals, 0.5, alike=2)
    assert worse == (
        "in balanced accuracy (50.0%) no better than the linear baseline (60.0%) and the largest class (50.0%)"
    )
    assert doubt(recorded, expected, Rivals(0.95, 0.95), 0.5, alike=2) != ""  # of an older release


def test_the_doubt_comes_before_the_reason():
    chosen = trial(0, chosen=True, val_accuracy=0.6)
    doubted = "in accuracy (60.0%) no better than the linear baseline (71.1%); it has the smallest gap"
    assert because(snapshot(chosen, rivals=BOTH)) == doubted
    assert because(snapshot(chosen, rivals=Rivals())) == "it has the smallest gap"


def test_classes_that_are_never_recognized_are_named():
    assert never_recognized([]) == []
    line = "never recognized on the validation images (recall 0): "
    assert never_recognized(["oak", "elm"]) == [f"{line}oak, elm"]
    assert never_recognized([str(number) for number in range(12)]) == [f"{line}0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"]
