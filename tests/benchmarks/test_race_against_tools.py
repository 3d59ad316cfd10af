"""The race against other tools: what is kept, what is taken home by when, what the tables say."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from studies.benchmarks.csv_rows import append, read
from studies.benchmarks.race import results, run
from studies.benchmarks.race.contenders.measure import TEST_IMAGES, kept_by, some
from studies.benchmarks.race.contenders.task import Keeper, Task, parse


@pytest.fixture
def task(tmp_path):
    return Task("digits", tmp_path, 0, 60.0, time.time(), 1, tmp_path)


def saved(path):
    path.write_text("weights")


def test_only_new_lows_are_kept(task):
    keeper = Keeper(task)
    for loss in (0.9, 0.7, 0.8, float("nan"), 0.6):
        keeper.offer(loss, 0.5, saved, {"depth": 3})
    kept = [json.loads(path.read_text()) for path in (task.folder / "kept").glob("*.json")]
    assert sorted(one["val_loss"] for one in kept) == [0.6, 0.7, 0.9]
    assert all((task.folder / "kept" / f"{one['weights']}.weights").exists() for one in kept)
    assert all(0 <= one["seconds"] < 60 for one in kept)


def test_the_lowest_loss_of_all_processes_by_then_is_taken_home():
    kept = [
        {"seconds": 10, "val_loss": 0.9},
        {"seconds": 50, "val_loss": 0.5},
        {"seconds": 40, "val_loss": 0.6},
        {"seconds": 55, "val_loss": 0.7},
    ]
    assert kept_by(kept, 5) is None
    assert [kept_by(kept, seconds)["val_loss"] for seconds in (20, 45, 60)] == [0.9, 0.6, 0.5]


def test_the_flags_of_a_contender_are_those_of_its_task(task, monkeypatch):
    monkeypatch.setattr("sys.argv", ["contender", *task.arguments()])
    assert parse() == task


def test_the_test_images_are_the_same_at_each_call():
    assert len(some(20_000)) == TEST_IMAGES
    assert list(some(100)) == list(some(100))
    assert sorted(some(100)) == list(range(100))


def rows(path):
    for tool, seed, after, loss in (
        ("this search", 0, 60, 0.5), ("this search", 0, 120, 0.4),
        ("this search", 1, 60, 0.7), ("this search", 1, 120, 0.6),
        ("another <tool>", 0, 120, 0.8),
    ):  # fmt: skip
        row = {"dataset": "FashionMNIST", "tool": tool, "seed": seed, "after": after, "took": 60.0, "test_loss": loss}
        append(path, row | {"test_accuracy": 0.9, "val_loss": 0.4, "gap": 0.1})
    return read(path)


def test_tables_have_means_and_standard_errors(tmp_path):
    lines = results.tables(rows(tmp_path / "race.csv")).splitlines()
    assert "**Fashion-MNIST**" in lines
    assert "| this search | 0.600 ± 0.100 | 0.500 ± 0.100 | 90.0 ± 0.0% | 0.100 ± 0.000 | 2 |" in lines
    assert "| another <tool> | none | 0.800 | 90.0% | 0.100 | 1 |" in lines


def test_the_graph_has_a_line_for_each_tool_and_no_markup_of_its_name(tmp_path):
    svg = results.graph(rows(tmp_path / "race.csv"))
    assert svg.count("<polyline") == 2
    assert "another &lt;tool&gt;" in svg


def test_a_process_that_outlasts_its_time_is_ended_with_its_children(task):
    started = time.monotonic()
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    run._wait([process], time.time() + 1)
    assert process.returncode is not None
    assert time.monotonic() - started < 20

    def alive():
        paths = [path for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
        told = [status for path in paths if f" {process.pid} {process.pid} " in (status := path.read_text())]
        return [status for status in told if ") Z " not in status]

    while alive() and time.monotonic() - started < 20:  # a child that was killed a moment ago
        time.sleep(0.1)
    assert alive() == []
