"""A best.yaml in words."""

from pathlib import Path

from builders import best_content

from search.show.best import describe


def lines(**others):
    return list(describe(best_content(**others), Path("run/best.yaml")))


def choice(**others):
    return best_content()["choice"] | others


def test_of_an_older_release_nothing_is_made_up():
    first, *rest = lines()
    assert first == "trial 3 of the study digits"
    assert "  accuracy    97.0% on 50 validation images, 99.0% on the train probe" in rest
    assert not any("largest class" in line or "never recognized" in line for line in rest)


def test_the_first_line_says_what_is_more_accurate():
    first, *rest = lines(choice=choice(baseline_accuracy=0.965, largest_class=0.5, unrecognized=["oak"]))
    assert first == "trial 3 of the study digits, in accuracy (96.0%) no better than the linear baseline (96.5%)"
    assert (
        "  accuracy    97.0% on 50 validation images, 99.0% on the train probe "
        "(linear baseline 96.5%, largest class 50.0%)"
    ) in rest
    assert "  never recognized on the validation images (recall 0): oak" in rest


def test_the_weights_of_a_refit_are_told_by_their_own_figures():
    first, *rest = lines(refit={"images": 500, "test_loss": 0.2, "test_loss_se": 0.01, "test_accuracy": 0.944})
    assert first == (
        "refit on 500 images, those that validated among them: test_loss 0.2000 ± 0.0100, accuracy 94.4%; "
        "what follows is of the search"
    )
    assert not any("gapsearch train" in line for line in rest)  # which takes no final.yaml
    assert any("gapsearch train" in line for line in lines())


def test_a_result_from_few_images_is_called_that():
    shown = lines(choice=choice(baseline_accuracy=0.9, largest_class=0.5))
    assert "  fit         good as far as 50 images tell; best at epoch 2, stopped: finished" in shown
    (line,) = [line for line in shown if line.startswith("  from few images")]
    assert line.startswith("  from few images: 48 of 50 are right, which any accuracy from 90.")
    many = best_content()["data"] | {"val_size": 200}
    assert not any("few images" in line or "images tell" in line for line in lines(data=many))


def test_where_the_place_of_the_images_is_not_known_the_command_asks_for_it():
    data = best_content()["data"]
    assert lines()[-1] == "train it again:  gapsearch train run/best.yaml"  # they come with a package
    assert lines(data=data | {"name": "folder", "root": "../photos"})[-1] == lines()[-1]
    assert lines(data=data | {"name": "folder"})[-1] == "train it again:  gapsearch train run/best.yaml --data-root DIR"


def test_optimism_is_told_with_its_error():
    confirmed = {"test_loss": 0.11, "test_accuracy": 0.96, "optimism": 0.01, "test_loss_se": 0.004}
    shown = lines(confirmation=confirmed)
    at = shown.index("confirmed with fresh seeds on the test split: test_loss 0.1100, accuracy 96.0%")
    assert shown[at + 1] == "  optimism of the search +0.0100 ± 0.0108, which may be noise"
