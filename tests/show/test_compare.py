"""Searches side by side."""

from pathlib import Path

import pytest
from builders import brightness_folder, recorded_study, recorded_trials, snapshot, trial

from search.command.cli import main
from search.show.compare import compare
from search.stopping.stopped import Stopped

EXPECTED = {"loss": 0.53, "loss_interval": [0.5, 0.56], "gap": 0.31, "accuracy": 0.87, "seeds": 2}


def rows(lines):
    """By title."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return {title: values for title, *values in cells}


def test_each_has_a_column_with_what_it_chose_and_what_it_cost():
    one = snapshot(
        trial(0, chosen=True, seconds=70.0),
        trial(1, stopped=Stopped.OVERFIT, val=(0.9, 0.6), train=(0.8, 0.5), seconds=5.0),
        expected=EXPECTED,
        epochs=3,
        race_epochs=12,
    )
    lines = compare({"runs/one": one, "runs/none": snapshot(name="none")})
    assert len({len(line) for line in lines[:-2]}) == 1
    found = rows(lines)
    assert found[""] == ["runs/one", "runs/none"]
    assert found["study"] == ["fashion", "none"]
    assert found["data, train + val"] == ["FashionMNIST, 3,000 + 2,000"] * 2
    assert found["chosen"] == ["trial 0, finished", "-"]
    assert found["expected loss (90%)"] == ["0.5300 (0.5000 to 0.5600)", "-"]
    assert (found["expected gap"][0], found["expected accuracy"][0]) == ("0.3100", "87.0%")
    assert found["recorded val_loss"] == ["0.5000 ± 0.0100", "-"]
    assert found["recorded gap"] == ["0.3000 ± 0.0200", "-"]
    assert found["linear baseline"] == ["0.7000", "0.7000"]
    assert found["trials"] == ["2 (1 finished, 1 overfit)", "0"]
    assert found["epochs of trials"] == ["5 of 6", "0 of 0"]
    assert found["epochs of the race"] == ["12", "0"]
    assert found["training of trials, summed"] == ["1m15s", "0s"]


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two runs on the same data, and one with another seed, so with other splits."""
    monkeypatch.chdir(tmp_path)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        (tmp_path / name).mkdir()
        study = recorded_study(recorded_trials(), chosen=1, storage=f"sqlite:///{name}/study.db")
        study.set_user_attr("settings", study.user_attrs["settings"] | {"seed": seed, "max_gap": seed / 10})


def test_only_the_same_images_and_splits_compare(folders, capsys):
    assert main(["compare", "a", "b"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("comparable: the same images and splits.")
    assert main(["compare", "a", "b", "c"]) == 0
    said = "not comparable, the searches differ in their images or splits: seed 3, 3, 4"
    assert capsys.readouterr().out.splitlines()[-1] == said


def test_searches_in_one_database_are_told_apart_by_their_best_yaml(folders, monkeypatch, capsys):
    monkeypatch.setenv("GAPSEARCH_STORAGE", "sqlite:///both.db")
    for folder, name in (("a", "first"), ("b", "second")):
        recorded_study(recorded_trials(), name=name, chosen=1, storage="sqlite:///both.db")
        brightness_folder(Path(folder), study=name)
    assert main(["compare", "a", "b"]) == 0
    assert rows(capsys.readouterr().out.splitlines())["study"] == ["first", "second"]
    brightness_folder(Path("b"), study="third")
    assert main(["compare", "a", "b"]) == 2
    assert capsys.readouterr().err == "error: the database holds no study third, but first, second\n"


def test_one_is_not_enough(folders, capsys):
    for arguments in (["a"], ["a", "a"]):
        assert main(["compare", *arguments]) == 2
        assert capsys.readouterr().err.startswith("error: compare wants two run folders or more")
    assert main(["compare", "a", "nowhere"]) == 2
    assert "there is no folder nowhere" in capsys.readouterr().err


def test_balanced_accuracy_stands_beside_accuracy_where_classes_are_uneven():
    uneven = trial(0, chosen=True, val_balanced_accuracy=0.613)
    found = rows(compare({"a": snapshot(uneven, expected=EXPECTED | {"balanced_accuracy": 0.6}), "b": snapshot()}))
    assert found["expected accuracy"][0] == "87.0%, balanced accuracy 60.0%"
    assert found["recorded accuracy"][0] == "87.5%, balanced accuracy 61.3%"
