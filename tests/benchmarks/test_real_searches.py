"""The benchmarks that search for real: what they keep, and what they make of it."""

import pytest

from studies.benchmarks.choice import fresh_seeds
from studies.benchmarks.search import real

REST = {"test_accuracy": 0.9, "val_loss": 0.4, "gap": 0.1, "epochs": 100}


def row(arm, seed, loss):
    return {"arm": arm, "seed": seed, "trials": 30, "trial": 1, "test_loss": loss} | REST


def test_rows_are_kept_one_by_one(tmp_path):
    path = tmp_path / "real.csv"
    assert real.read(path) == []
    real.append(path, row(real.OLD, 0, 0.5))
    real.append(path, row(real.NEW, 0, 0.45))
    assert [(one["arm"], one["seed"], float(one["test_loss"])) for one in real.read(path)] == [
        (real.OLD, "0", 0.5),
        (real.NEW, "0", 0.45),
    ]


def test_samplers_are_compared_on_the_seeds_that_both_have(tmp_path):
    path = tmp_path / "real.csv"
    for seed, old, new in ((0, 0.5, 0.45), (1, 0.4, 0.38)):  # 10% and 5% lower
        real.append(path, row(real.OLD, seed, old))
        real.append(path, row(real.NEW, seed, new))
    real.append(path, row(real.NEW, 2, 0.7))
    lines = real.table(real.read(path))
    assert lines[2].startswith(f"| {real.OLD} | 0.4500 ± 0.0500 |  | 90.0 ± 0.0%")
    assert "| -7.5 ± 2.5% |" in lines[3]
    assert lines[3].endswith("| 3 |")


def found(seed, expected, fresh, interval):
    return fresh_seeds.Row(seed, 0.02, expected, interval, fresh, 0.003, 20, 100)


def test_what_was_printed_is_held_against_further_seeds():
    rows = [found(0, 0.04, 0.05, (0.01, 0.06)), found(1, 0.03, 0.05, (0.01, 0.04))]
    assert [one.within for one in rows] == [True, False]
    assert str(rows[0]) == "| 0 | 0.0200 | 0.0400 | 0.0100 to 0.0600 | 0.0500 ± 0.0030 | yes | 20 of 100 epochs |"
    intervals, expected, recorded = fresh_seeds.closing(rows)
    assert intervals.startswith("1 of 2 intervals")
    assert expected == "expected: -30% ± 10% of the mean loss 0.0500"  # 0.01 and 0.02 too low, of 0.05
    assert recorded == "recorded: -60% ± 0% of the mean loss 0.0500"


def test_a_search_that_has_ended_is_not_run_again(monkeypatch, tmp_path):
    folder = tmp_path / "0"
    flags = ["--trials", "3", "--epochs", "3", "--workers", "1"]
    first = fresh_seeds.searched(0, "digits", flags, folder)
    monkeypatch.setattr(fresh_seeds, "gapsearch", lambda arguments: pytest.fail(f"ran {arguments}"))
    assert fresh_seeds.searched(0, "digits", flags, folder) == first
    assert first.race_epochs > 0
    assert first.search_epochs <= 9
