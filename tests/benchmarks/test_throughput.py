"""The throughput benchmark's arithmetic by hand; every contender on digits that are stored as Fashion-MNIST is."""

import importlib.util
import os
import re
import struct
import subprocess
import sys
import time
from csv import DictReader
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from studies.benchmarks.throughput import measuring, results
from studies.benchmarks.throughput import run as throughput
from studies.benchmarks.throughput.contenders import CONTENDERS, ROUNDS, available
from studies.benchmarks.throughput.measuring import Run
from studies.benchmarks.throughput.peers.clock import CPUClock
from studies.benchmarks.throughput.peers.task import NETWORKS, Task, parse

LINUX = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes are bound to cores on Linux alone")


def run(contender, repetition, rate, cpu, **changes):
    """One minute of 4 trials of 3 epochs at most."""
    figures = {"trial_epochs": rate, "seconds": 60.0, "wall": 63.0, "cpu_seconds": cpu * rate, "others": 0.1}
    task = {"round": "all to the end", "network": "small", "augmentation": False, "cores": 4, "planned": 12}
    shares = {"accuracy": 0.8, "measuring": None}
    return Run(contender=contender, repetition=repetition, **task | figures | shares | changes)


def test_rate_and_cpu_are_of_epochs_really_trained():
    done = run("ours", 0, 10, 2.0, seconds=30.0, cpu_seconds=25.0)
    assert done.rate == 20  # 10 in half a minute
    assert done.cpu == 2.5


def test_ratio_is_taken_within_each_repetition():
    """The second repetition ran on a machine twice as slow; 3, 3 and 5 have the median 3, whatever the machine did."""
    runs = [run(name, turn, rate, 1.0) for turn, pair in enumerate([(30, 10), (15, 5), (50, 10)])
            for name, rate in zip(("ours", "ray"), pair, strict=True)]  # fmt: skip
    assert results.ratio(runs, "ours", "ray", "rate") == 3
    assert results.ratio(runs, "ray", "ours", "rate") == pytest.approx(1 / 3)
    assert results.ratio(runs[:-2] + runs[-1:], "ours", "ray", "rate") == 3  # ours is not done yet in the third
    assert results.ratio(runs, "ours bf16", "ray", "rate") is None


def test_reports_of_processes_that_share_the_trials():
    first = {"began": 10.0, "ended": 20.0, "epochs": [2, 1], "accuracies": [0.5], "measuring": 1.5}
    second = {"began": 11.0, "ended": 24.0, "epochs": [2, 2], "accuracies": [0.7, 0.9], "measuring": 2.0}
    merged = measuring.merged([first, second])
    assert merged == {"trial_epochs": 7, "seconds": 14.0, "accuracy": 0.7, "measuring": 3.5}
    assert measuring.merged([first, second | {"measuring": None}])["measuring"] is None
    assert measuring.merged([first | {"accuracies": []}])["accuracy"] is None


def test_table():
    runs = [
        *(run("bare", turn, 120, 0.5, measuring=share) for turn, share in enumerate((0.2, 0.1, 0.3))),
        *(run("ours", turn, 100, 0.625, trial_epochs=100 - turn) for turn in range(3)),
    ]
    lines = results.table(runs).splitlines()
    assert lines[2:] == [
        "| (e) bare loop | 120 | 0.82x |  | 0.50 | 126% |  | 120 of 12 | 80.0% | 20% |",
        "| this search | 99 | 1.00x |  | 0.63 | 100% |  | 99 of 12 | 80.0% |  |",
    ]
    assert [line.count("|") for line in lines] == [11] * 4
    assert results.tables(runs).startswith(
        "**small network (3 convolutions, width 8), no augmentation; all to the end; 3 repetitions, 4 cores, "
        "other programs on 0.1 of them**\n\n|  |"
    )


def test_runs_as_lines(tmp_path):
    results.write(tmp_path / "runs.csv", [run("ours", 2, 10, 1.23456)])
    heading, line = (tmp_path / "runs.csv").read_text().splitlines()
    assert heading.split(",")[:5] == ["round", "network", "augmentation", "contender", "repetition"]
    assert line == "all to the end,small,False,ours,2,4,12,10,60,63,12.35,0.1,0.8,"


RECORDED = sorted(throughput.TABLE.parent.glob("*.csv"))


def read(path):
    """The runs of a CSV that `write` has written."""

    def value(kind, text):
        if kind is bool:
            return text == "True"
        return None if text == "" else float(text) if kind == float | None else kind(text)

    with path.open(newline="") as file:
        rows = list(DictReader(file))
    return [Run(**{each.name: value(each.type, row[each.name]) for each in fields(Run)}) for row in rows]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_the_readme_shows_the_recorded_runs(path):
    """To one unit of the last digit shown: the CSV has four digits."""
    shown, made = (tables_of(text) for text in (path.with_name("README.md").read_text(), results.tables(read(path))))
    number = re.compile(r"\d+(?:\.(\d+))?")
    for title, table in made.items():
        assert number.sub("#", shown[title]) == number.sub("#", table)
        for one, other in zip(number.finditer(shown[title]), number.finditer(table), strict=True):
            assert float(one[0]) == pytest.approx(float(other[0]), abs=1.01 * 10 ** -len(one[1] or ""))


def tables_of(text):
    """Tables by the bold line above them."""
    return dict(re.findall(r"\*\*(.+)\*\*\n\n((?:\|.*(?:\n|$))+)", text + "\n"))


def test_each_contender_has_its_turn_in_each_repetition(monkeypatch):
    monkeypatch.setattr(throughput, "available", lambda names: [one for one in CONTENDERS if one.name in names])
    flags = ["--repetitions", "2", "--networks", "small", "--contenders", "ray", "bare", "--plain"]
    turns = list(throughput.turns(throughput.parse(flags)))
    assert [(contender.name, chosen.name, task.seed) for contender, chosen, task in turns] == [
        (name, chosen, seed)
        for seed in (0, 1)
        for chosen, name in (("short", "ray"), ("short", "bare"), ("longer", "bare"))  # ray is only in the short round
    ]
    assert not any(task.augmentation for _, _, task in turns)
    assert [task.trials for _, _, task in turns[:3]] == [16, 16, 48]


def test_every_round_knows_every_network():
    assert all(chosen.trials.keys() == NETWORKS.keys() for chosen in ROUNDS)


def test_contenders_without_their_packages_are_left_out(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "keras_tuner" else name)
    assert [contender.name for contender in available(["ray", "keras", "bare"])] == ["ray", "bare"]
    assert capsys.readouterr().out.startswith("left out: keras, because keras_tuner is missing")


def task(folder, root, **changes):
    settings = {"network": "small", "augmentation": True, "trials": 2, "epochs": 1, "train_size": 256, "val_size": 100}
    where = {"cores": min(2, os.cpu_count()), "seed": 0, "data_root": root, "folder": folder}
    return Task(**settings | where | changes)


@pytest.mark.parametrize("changes", [{}, {"augmentation": False, "bf16": True, "copies": 3}])
def test_contenders_read_the_flags_that_they_are_given(tmp_path, changes):
    asked = task(tmp_path, tmp_path / "data", **changes)
    assert parse(asked.arguments()) == asked


@LINUX
def test_cpu_seconds_of_a_grandchild_that_has_ended():
    burn = "import time\nwhile time.process_time() < 0.6: pass\n"
    child = f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {burn + 'time.sleep(0.5)'!r}])"
    process = subprocess.Popen([sys.executable, "-c", child])
    clock = CPUClock([process.pid])
    while process.poll() is None:
        clock.sample()
        time.sleep(0.05)
    assert 0.6 <= clock.seconds() < 1.5


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Digits as the files that torchvision reads Fashion-MNIST from: 24x24 of 28x28 pixels."""
    root = tmp_path_factory.mktemp("data")
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    digits = load_digits()
    images = np.pad(np.kron(digits.images, np.ones((3, 3))), ((0, 0), (2, 2), (2, 2))) * (255 / 16)
    for part in ("train", "t10k"):
        n = len(images)
        header = struct.pack(">4i", 0x803, n, 28, 28)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + images.astype(np.uint8).tobytes())
        labels = digits.target.astype(np.uint8).tobytes()
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, n) + labels)
    return root


@LINUX
@pytest.mark.usefixtures("torchvision_datasets")
@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda contender: contender.name)
def test_contender_runs(contender, root):
    missing = [module for module in contender.needs if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install -e '.[bench]'")
    done = measuring.measure(contender, ROUNDS[0], task(Path(), root))
    assert done.trial_epochs == done.planned == 2
    assert 0 < done.seconds < done.wall
    assert done.cpu_seconds > 0.2
    assert 0 <= done.accuracy <= 1
    assert (done.measuring is not None) == (contender.script in ("optuna_script", "bare_loop"))


@LINUX
@pytest.mark.usefixtures("torchvision_datasets")
def test_a_contender_that_fails_is_quoted(tmp_path):
    with pytest.raises(RuntimeError, match=r"bare failed(.|\n)*Dataset not found"):
        measuring.run(CONTENDERS[5], task(tmp_path, tmp_path))
