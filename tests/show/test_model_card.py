"""What stands in a model card."""

from builders import SCRIPT, best_content, confirmation

from search.show.model_card import model_card

CALIBRATION = {"temperature": 1.5, "val_loss": 0.2, "val_loss_calibrated": 0.15, "calibration_error": 0.05,
               "calibration_error_calibrated": 0.02}  # fmt: skip


def card(**others):
    return model_card(best_content(**others), {"onnx": "best.onnx"})


def test_before_a_confirmation():
    text = card()
    assert text.startswith("# Model card: digits, trial 3\n\nIt tells 10 classes of images apart")
    for line in (
        "| gap, expected | 0.0500 | an estimate for new images, from 2 seeds that chose nothing |",
        "| loss, recorded | 0.1000 ± 0.0100 | 50 validation images, by which it was chosen: likely too good |",
        "| gap, recorded | 0.0200 ± 0.0100 | validation loss minus training loss |",
        "- Fit: good as far as 50 images tell (training accuracy 99.0%).",
        "- Not confirmed on test images: gapsearch confirm trains it with fresh seeds and measures it on them.",
        "- Its probabilities are not calibrated: it may be surer than it is right.",
        "- 100 images to train on and 50 to validate on, split with seed 0",
        "- input of ONNX and torch: `images`, uint8 (n, 8, 8, 1), grey, from 0 to 255; n is any",
    ):
        assert line in text.splitlines()
    assert "| loss, expected | 0.1300 (90%: 0.1000 to 0.1600) | " in text
    assert "| accuracy, recorded | 97.0% (90%: 90." in text
    assert "divided by the temperature 1;" in text
    assert 'InferenceSession("best.onnx")' in text
    assert "torch.export.load" not in text


def test_after_a_confirmation_and_a_calibration():
    text = card(confirmation=confirmation(), calibration=CALIBRATION)
    for line in (
        "| loss, confirmed | 0.3000 ± 0.0200 | 360 test images, trained again with 2 fresh seeds |",
        "| accuracy, confirmed | 85.0% ± 1.0% | 360 test images, trained again with 2 fresh seeds |",
        "| loss, test | 0.3100 ± 0.0200 | 360 test images, these weights themselves |",
        "| loss, calibrated | 0.1500 (before: 0.2000) | 50 validation images, cross-fitted over two halves |",
        "| expected calibration error | 2.0% (before: 5.0%) | 50 validation images, cross-fitted over two halves |",
        "- The test split was opened for the first time from this run folder.",
    ):
        assert line in text.splitlines()
    assert "- Worst classes on the test split by recall: shirt 71.0% ± 1.0%" in text
    assert "Not confirmed" not in text
    assert "not calibrated" not in text
    assert "divided by the temperature 1.5;" in text


def test_of_an_older_release_nothing_is_made_up():
    older = {"test_loss": 0.11, "test_accuracy": 0.96, "optimism": 0.01}
    text = model_card(
        {name: value for name, value in best_content(confirmation=older).items() if name != "expected"}, {}
    )
    assert "| loss, confirmed | 0.1100 | the test split |" in text
    assert "expected |" not in text


REFIT = {"images": 150, "epochs": 3, "annealed": False, "seeds": [9], "openings": 2, "train_loss": 0.1,
         "test_loss": 0.22, "test_loss_se": 0.03, "test_accuracy": 0.94, "test_accuracy_se": 0.01,
         "test_gap": 0.12}  # fmt: skip


def test_what_speaks_against_it_comes_first():
    choice = best_content()["choice"] | {"baseline_accuracy": 0.98, "largest_class": 0.5, "unrecognized": ["7"]}
    limits = card(choice=choice).partition("## Limits\n\n")[2].splitlines()
    assert limits[0] == "- In accuracy (96.0%) no better than the linear baseline (98.0%)."
    assert limits[2] == "- Never recognized on the validation images (recall 0): 7."


def test_a_refit_is_not_given_the_figures_of_what_was_chosen():
    content = best_content(refit=REFIT, calibration=CALIBRATION, epochs=3)
    text = model_card(content, {"safetensors": "final.safetensors"}, "final.yaml")
    assert text.startswith("# Model card: digits, trial 3, refitted\n")
    for line in (
        "| loss, test | 0.2200 ± 0.0300 | the test split, these weights themselves |",
        "| accuracy, test | 94.0% ± 1.0% | the test split, these weights themselves |",
        "- The test split was opened for time 2 from this run folder, for these weights.",
        "- The temperature was fitted to the network as it was before the refit.",
        "- trained for 3 epochs with seed 7, on the 150 images that trained and validated together",
        'network = search.load("final.yaml").build()',
    ):
        assert line in text.splitlines()
    assert "50 validation images, by which it was chosen (before the refit): likely too good" in text
    assert "Not confirmed" not in text
    assert "before the refit" not in card(calibration=CALIBRATION)


def test_uneven_classes():
    content = best_content(confirmation=confirmation(test_balanced_accuracy=0.7, test_balanced_accuracy_se=0.03))
    content["metrics"] |= {"val_balanced_accuracy": 0.8}
    content["data"] |= {"balance": True}
    content["expected"] |= {"balanced_accuracy": 0.75}
    content["refit"] = REFIT | {"test_balanced_accuracy": 0.72}
    text = model_card(content, {})
    assert "| balanced accuracy, test | 72.0% | the test split, these weights themselves |" in text
    assert "| balanced accuracy, expected | 75.0% |" in text
    assert "| balanced accuracy, recorded | 80.0% | 50 validation images, by which it was chosen" in text
    assert "| balanced accuracy, confirmed | 70.0% ± 3.0% | 360 test images, trained again with 2 fresh seeds |" in text
    assert "- the classes weigh alike in the training and in all losses" in text
    assert not any(word in card(confirmation=confirmation()) for word in ("balanced accuracy", "weigh alike"))


def test_names_are_shown_as_they_are():
    data = best_content()["data"] | {"classes": [SCRIPT, "a|b", "`c`", *"3456789"]}
    text = card(data=data)
    assert SCRIPT not in text
    assert "\\<script\\>" in text
    assert "a\\|b, \\`c\\`, 3" in text
