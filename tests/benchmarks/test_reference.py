"""The networks of introductions, trained beside what a search chose."""

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from builders import CONFIG, ROOT

from search.data import datasets
from spaces import cnn
from spaces import reference as networks

spec = importlib.util.spec_from_file_location("studies.reference", ROOT / "studies" / "reference.py")
study = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = study  # where its dataclasses look for it
spec.loader.exec_module(study)

SMALL = ("--data", "digits", "--train-size", "100", "--val-size", "60", "--epochs", "2")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Call it with flags; returns the exit code, what was printed, and the recorded trainings."""
    monkeypatch.chdir(tmp_path)

    def run(*flags):
        monkeypatch.setattr("sys.argv", ["reference.py", *SMALL, *flags])
        code = study.main()
        recorded = Path("reference.jsonl")
        lines = recorded.read_text().splitlines() if recorded.exists() else []
        return code, capsys.readouterr(), [json.loads(line) for line in lines]

    return run


def a_run(network, seed, val_loss, **others):
    history = {"val_loss": val_loss, "train_loss": [0.4, 0.3, 0.1], "val_loss_se": [0.01] * 3, "gap_se": [0.01] * 3}
    history |= {"train_accuracy": [0.8, 0.9, 1.0], "val_accuracy": [0.7, 0.8, 0.75]}
    known = {"parameters": 1234, "test_accuracy": 0.7, "seconds": 1.5, "config": {"network": network}}
    known["best_epoch"] = val_loss.index(min(val_loss))
    return {"network": network, "seed": seed, "history": history} | known | others


def test_each_network_is_trained_once_before_any_twice_and_none_again():
    wanted = [study.Contender(name, {"network": name}, None) for name in ("a", "b")]
    assert [(one.name, seed) for one, seed in study.missing(wanted, 2, [])] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    done = [a_run("a", 0, [1, 1, 1]), a_run("b", 0, [1, 1, 1], config={"network": "another"})]
    assert [(one.name, seed) for one, seed in study.missing(wanted, 2, done)] == [("b", 0), ("a", 1), ("b", 1)]


def test_a_line_of_the_table():
    """Best at epochs 2 and 3 of 3: losses 0.5 and 0.6, gaps 0.2 and 0.5; both train 90 and 100%."""
    runs = [a_run("cifar10_large", 0, [0.9, 0.5, 0.7]), a_run("cifar10_large", 1, [0.9, 0.8, 0.6], test_accuracy=0.8)]
    cells = study.row("cifar10_large", runs, baseline_loss=1.0).strip("| ").split(" | ")
    assert cells == [
        "cifar10_large",
        "overfits",
        "98.4, 69.6",
        "1,234",
        "0.550 ± 0.071",
        "0.350 ± 0.212",
        "95.0 ± 7.1",
        "77.5 ± 3.5",
        "75.0 ± 7.1",
        "partial overfit (1), true overfit (1)",
        "2 of 3",
        "100.0 ± 0.0, 75.0 ± 0.0",
        "1.5",
    ]
    assert len(cells) == len(study.HEADINGS)


def test_one_seed_has_no_deviation_and_a_network_without_a_text_no_figures():
    cells = study.row("trial 3 of x", [a_run("trial 3 of x", 0, [0.9, 0.5, 0.7])], baseline_loss=0.4)
    assert cells.startswith("| trial 3 of x | - | - | 1,234 | 0.500 | 0.200 | 90.0 | 80.0 | 70.0 | underfit | 2 of 3 |")


def test_seeds_that_diverge_are_told_and_in_no_figure():
    sound, diverged = a_run("a", 0, [0.9, 0.5, 0.7]), a_run("a", 1, [float("nan")] * 3, best_epoch=None)
    whole, told = (study.row("a", runs, 0.4).split(" | ") for runs in ([sound], [diverged, sound]))
    assert told == ["| a (1 of 2 diverged)", *whole[1:]]
    assert study.row("a", [diverged], 0.4) == "| a (1 of 1 diverged) | - | - | 1,234 |" + " - |" * 9


def test_what_two_searches_call_by_one_name_is_told_apart(capsys):
    """By their configurations, and by their ceilings; what an earlier release recorded had none."""
    recorded = [
        a_run("trial 5 of imgs", 0, [0.2] * 3, config={"width": 8}),
        a_run("trial 5 of imgs", 0, [0.8] * 3, config={"width": 16}, max_gap=None),
        a_run("trial 5 of imgs", 0, [0.5] * 3, config={"width": 16}, max_gap=0.1),
    ]
    for number, (width, max_gap) in enumerate([(8, None), (16, None), (16, 0.1)]):
        one = study.Contender("trial 5 of imgs", {"width": width}, None, max_gap)
        assert [study.is_of(run, one) for run in recorded] == [place == number for place in range(3)]
        study.report(recorded, [one], 1.0)
        assert f"| {('0.200', '0.800', '0.500')[number]} |" in capsys.readouterr().out
        assert list(study.missing([one], 2, recorded)) == [(one, 1)]


def test_a_line_that_was_cut_short_costs_that_training_alone(tmp_path):
    path, conditions = tmp_path / "runs.jsonl", {"epochs": 3}
    whole = [a_run("a", seed, [0.9, 0.5, 0.7], conditions=conditions) for seed in range(3)]
    study.append(path, whole[0])
    with path.open("a") as file:
        file.write(json.dumps(whole[1])[:50])
    assert study.read_runs(path, conditions) == whole[:1]
    study.append(path, whole[2])
    assert study.read_runs(path, conditions) == [whole[0], whole[2]]


def test_another_file_is_not_written_to(run):
    Path("best.yaml").write_text("version: 1")
    code, said, _ = run("--networks", "fashion_plain", "--out", "best.yaml")
    assert code == 2
    assert "best.yaml is no table of trainings: it has a line 'version: 1'; name another file with --out" in said.err
    assert Path("best.yaml").read_text() == "version: 1"


def test_grey_images_have_the_networks_of_fashion_mnist_and_what_is_recorded_is_not_trained_again(run, monkeypatch):
    code, said, recorded = run("--seeds", "1")
    assert code == 0
    assert [one["network"] for one in recorded] == ["fashion_plain", "fashion_dropout", "fashion_augmented"]
    assert all(len(one["history"]["gap"]) == 2 for one in recorded)
    monkeypatch.setattr(study, "train", None)
    code, again, same = run("--seeds", "1")
    assert (code, again.out, same) == (0, said.out, recorded)
    assert "| fashion_augmented |" in said.out


def test_other_conditions_are_trained_anew(run):
    run("--networks", "fashion_plain", "--seeds", "1")
    _, said, recorded = run("--networks", "fashion_plain", "--seeds", "1", "--epochs", "1")
    assert [len(one["history"]["gap"]) for one in recorded] == [2, 1]
    assert " of 1 |" in said.out
    assert " of 2 |" not in said.out


def test_every_network_of_the_texts_is_told_of():
    assert set(study.TOLD) <= set(networks.NETWORKS)
    assert {name for name, told in study.TOLD.items() if told.train} == {
        name for name in networks.NETWORKS if name.startswith("cifar")
    }


class Chosen:
    """What is read of a best.yaml."""

    trial, study, config, build_network = 7, "digits", CONFIG, staticmethod(cnn.build)

    def __init__(self, fingerprint, max_gap=None):
        self.data, self.choice = {"fingerprint": fingerprint}, {"max_gap": max_gap}


def test_what_a_search_chose_is_trained_beside_them(run, monkeypatch):
    fingerprint = datasets.load("digits", "train", Path("data")).fingerprint
    monkeypatch.setattr(study, "load_best", lambda path: Chosen(fingerprint))
    code, said, recorded = run("--networks", "fashion_plain", "--seeds", "1", "--beside", "best.yaml")
    assert code == 0
    assert [one["network"] for one in recorded] == ["fashion_plain", "trial 7 of digits"]
    assert recorded[1]["config"] == CONFIG
    assert "| trial 7 of digits | - |" in said.out


def test_what_a_search_chose_under_a_ceiling_is_taken_at_its_best_epoch_under_it(run, monkeypatch):
    """A ceiling at the first gap lets the first epoch alone pass, where both beat the baseline. The losses fall."""
    fingerprint = datasets.load("digits", "train", Path("data")).fingerprint
    flags = ("--networks", "fashion_plain", "--seeds", "1", "--beside", "best.yaml", "--out")
    monkeypatch.setattr(study, "fit_baseline", lambda data: SimpleNamespace(val_loss=100.0))
    monkeypatch.setattr(study, "load_best", lambda path: Chosen(fingerprint))
    *_, (_, free) = run(*flags, "reference.jsonl")
    first, second = free["history"]["gap"]
    assert free["best_epoch"] == 1
    assert first < second
    Path("reference.jsonl").unlink()
    monkeypatch.setattr(study, "load_best", lambda path: Chosen(fingerprint, max_gap=(first + second) / 2))
    _, said, (plain, held) = run(*flags, "reference.jsonl")
    assert held["history"] == free["history"]
    assert (plain["best_epoch"], held["best_epoch"]) == (1, 0)
    assert held["test_loss"] != free["test_loss"]
    assert f" {first:.3f} | " in said.out


def test_a_search_on_other_images_is_refused(run, monkeypatch):
    monkeypatch.setattr(study, "load_best", lambda path: Chosen("another"))
    code, said, recorded = run("--beside", "best.yaml")
    assert (code, recorded) == (2, [])
    assert "best.yaml was found on other images than those of --data digits; name the same ones" in said.err


def test_a_best_yaml_that_is_none(run, tmp_path):
    (tmp_path / "best.yaml").write_text(yaml.safe_dump({"a": 1}))
    code, said, _ = run("--beside", "best.yaml")
    assert code == 2
    assert "best.yaml is no best.yaml" in said.err
