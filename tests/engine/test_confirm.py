"""The winner on the test split, with fresh seeds."""

from pathlib import Path

import numpy as np
import pytest
import yaml

import search
from search.data import datasets
from search.data.tensors import held_out
from search.engine.confirm import FRESH, Fresh, confirm, describe, summarize
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
