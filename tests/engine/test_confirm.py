"""The winner on the test split, with fresh seeds."""

import errno
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import yaml

import search
from search.command.cli import main
from search.data import datasets
from search.data.tensors import held_out
from search.engine import confirm as confirmation
from search.engine import kept_trainings
from search.engine.confirm import FRESH, confirm, describe, summarize
from search.engine.fresh import Fresh
from search.engine.kept_trainings import KeptTrainings
from search.engine.launch import run_search
from search.errors import UserError
from search.log import show_log
from search.settings import Settings


@pytest.fixture(scope="module")
def best_yaml(tmp_path_factory):
    """Of a small search on digits."""
    folder = tmp_path_factory.mktemp("confirm") / "run"
    ranges = {"depth": (2, 3), "width": (12, 16), "batch_size": (16, 24), "learning_rate": (5e-3, 1e-2)}
    settings = Settings(name="digits", dataset="digits", trials=3, epochs=8, workers=2, device="cpu", out=folder,
                        train_size=400, val_size=200, ranges=ranges)  # fmt: skip
    run_search(settings)
    return folder / "best.yaml"


@pytest.fixture
def own(best_yaml, tmp_path):
    """A copy of that best.yaml and its weights for one test, not confirmed yet."""
    content = yaml.safe_load(best_yaml.read_text())
    content.pop("confirmation", None)
    content["epochs"] = 2  # for a quick test
    (tmp_path / "best.yaml").write_text(yaml.safe_dump(content))
    shutil.copy(best_yaml.with_name("best.pt"), tmp_path)
    return tmp_path / "best.yaml"


def after(count, act, monkeypatch):
    """Have `act` called once that many trainings have been kept."""
    add = KeptTrainings.add

    def counted(kept, training):
        add(kept, training)
        if len(kept.by_seed) == count:
            act()

    monkeypatch.setattr(KeptTrainings, "add", counted)


def test_fresh_seeds_on_the_test_split_go_into_best_yaml(best_yaml, capsys):
    show_log()
    before = search.load(best_yaml)
    found = confirm(best_yaml, Path("data"), "cpu", seeds=2)
    after = search.load(best_yaml)
    assert before.confirmation is None
    assert after.confirmation == yaml.safe_load(yaml.safe_dump(found))
    assert found["test_images"] == 360
    assert found["seeds"] == [before.seed + FRESH, before.seed + FRESH + 1]
    assert found["test_accuracy"] > 0.85
    assert found["optimism"] == pytest.approx(found["test_loss"] - before.metrics["val_loss"])
    assert (after.config, after.metrics) == (before.config, before.metrics)
    assert "optimism of the search" in capsys.readouterr().out


def test_the_summary_by_hand(best_yaml):
    best = search.load(best_yaml)
    best.metrics["val_loss"] = 0.20
    runs = [Fresh(1, 0.10, 0.22, 0.30, 0.9), Fresh(2, 0.12, 0.26, 0.34, 0.8)]
    found = summarize(best, runs)
    assert found["test_loss"] == pytest.approx(0.32)
    assert found["test_loss_se"] == pytest.approx(0.02)
    assert found["test_gap"] == pytest.approx(0.21)
    assert found["optimism"] == pytest.approx(0.12)
    assert found["optimism_of_the_seed"] == pytest.approx(0.04)
    more = {"exported_test_loss": 0.3, "exported_test_loss_se": 0.01, "exported_test_accuracy": 0.9, "test_images": 9}
    text = "\n".join(describe(best, found | more))
    assert "the chosen seed was 0.0400 lucky" in text
    assert "+0.1200 (+60% of the recorded loss)" in text
    assert summarize(best, runs[:1])["test_loss_se"] is None


def test_held_out_images_are_normalized_as_the_search_did(digits):
    source = datasets.load("digits", "test", Path("data"))
    test = held_out(source, digits)
    assert test.mean == digits.mean
    assert np.array_equal(test.splits.val, np.arange(360))
    assert len(test.splits.train) == len(test.splits.probe) == 0


def test_other_images_are_refused(best_yaml, monkeypatch):
    content = yaml.safe_load(best_yaml.read_text())
    content["data"]["fingerprint"] = "0" * 16
    other = best_yaml.with_name("other.yaml")
    other.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match="are not those of this"):
        confirm(other, Path("data"), "cpu", seeds=1)


def test_an_interrupted_confirmation_trains_the_missing_seeds_alone(own, monkeypatch, capsys):
    confirm(own, Path("data"), "cpu", seeds=5)
    undisturbed = own.read_bytes()
    content = yaml.safe_load(undisturbed)
    del content["confirmation"]
    own.write_text(yaml.safe_dump(content))
    capsys.readouterr()
    monkeypatch.setattr(confirmation, "_places", lambda devices: devices)  # one after the other
    with monkeypatch.context() as patch:
        after(2, lambda: signal.raise_signal(signal.SIGINT), patch)
        assert main(["confirm", str(own), "--device", "cpu"]) == 130
    output, errors = capsys.readouterr()
    assert errors == "interrupted: 2 of 5 trainings are kept, and the same command trains the others alone\n"
    assert "[2/5] val_loss" in output
    assert "[3/5]" not in output
    assert main(["confirm", str(own), "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:14] for line in lines if "val_loss" in line][:5] == ["trained before"] * 2 + [
        f"[{number}/3] val_loss"[:14] for number in (1, 2, 3)
    ]
    assert own.read_bytes() == undisturbed
    assert {path.name for path in own.parent.iterdir()} == {"best.yaml", "best.pt"}


def test_a_failed_training_costs_no_other_one(own, monkeypatch, capsys):
    """best.yaml is written anew after the second training: the later ones would train another configuration."""
    show_log()
    content = yaml.safe_load(own.read_text())
    monkeypatch.setattr(confirmation, "_places", lambda devices: devices)
    after(2, lambda: own.write_text(yaml.safe_dump(content | {"seed": 5})), monkeypatch)
    with pytest.raises(UserError, match=r"best\.yaml was written anew while .* 2 of 4 trainings are kept"):
        confirm(own, Path("data"), "cpu", seeds=4)
    monkeypatch.undo()
    own.write_text(yaml.safe_dump(content))
    confirm(own, Path("data"), "cpu", seeds=4)
    assert capsys.readouterr().out.count("trained before") == 2


def test_another_best_yaml_takes_none_of_them_up(own, monkeypatch, capsys):
    show_log()
    monkeypatch.setattr(confirmation, "_places", lambda devices: devices)
    after(1, lambda: signal.raise_signal(signal.SIGTERM), monkeypatch)
    with pytest.raises(search.SearchInterrupted):
        confirm(own, Path("data"), "cpu", seeds=2)
    monkeypatch.undo()
    other = yaml.safe_load(own.read_text())
    other["epochs"] = 1
    own.write_text(yaml.safe_dump(other))
    confirm(own, Path("data"), "cpu", seeds=2)
    output = capsys.readouterr().out
    assert "best.confirm.json is of another configuration, or of other images: it is not taken up" in output
    assert "[2/2]" in output


def test_a_full_disk_is_waited_for(own, monkeypatch, said):
    fails = [OSError(errno.ENOSPC, "No space left on device")] * 2

    def replace_file(*arguments):
        if fails:
            raise fails.pop()
        replaced.append(arguments)

    replaced = []
    monkeypatch.setattr(kept_trainings, "replace_file", replace_file)
    monkeypatch.setattr("search.training.file_faults.RETRY_SECONDS", 0.0)
    assert "confirmation" not in yaml.safe_load(own.read_text())
    assert confirm(own, Path("data"), "cpu", seeds=1) == search.load(own).confirmation
    assert len(replaced) == 1
    assert said().count("No space left on device; make room there") == 1
