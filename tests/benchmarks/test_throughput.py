"""The throughput benchmark's arithmetic by hand; every contender on digits in Fashion-MNIST's clothes."""

import importlib.util
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from studies.benchmarks.throughput import run as throughput
from studies.benchmarks.throughput.peers.task import Task, parse

LINUX = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes are bound to cores on Linux alone")


def run(contender, repetition, rate, cpu, **changes):
    """One minute of 4 trials of 3 epochs at most."""
    figures = {"trial_epochs": rate, "seconds": 60.0, "wall": 63.0, "cpu_seconds": cpu * rate, "others": 0.1}
    task = {"round": "all to the end", "network": "small", "augmentation": False, "cores": 4, "planned": 12}
    shares = {"accuracy": 0.8, "measuring": None}
    return throughput.Run(contender=contender, repetition=repetition, **task | figures | shares | changes)


def test_rate_and_cpu_are_of_epochs_really_trained():
    done = run("ours", 0, 10, 2.0, seconds=30.0, cpu_seconds=25.0)
    assert done.rate == 20  # 10 in half a minute
    assert done.cpu == 2.5


def test_ratio_is_taken_within_each_repetition():
    """The second repetition ran on a machine twice as slow; 3, 3 and 5 have the median 3, whatever the machine did."""
    runs = [run(name, turn, rate, 1.0) for turn, pair in enumerate([(30, 10), (15, 5), (50, 10)])
            for name, rate in zip(("ours", "ray"), pair, strict=True)]  # fmt: skip
    assert throughput.ratio(runs, "ours", "ray", "rate") == 3
    assert throughput.ratio(runs, "ray", "ours", "rate") == pytest.approx(1 / 3)
    assert throughput.ratio(runs[:-2] + runs[-1:], "ours", "ray", "rate") == 3  # ours is not done yet in the third
    assert throughput.ratio(runs, "ours bf16", "ray", "rate") is None


def test_reports_of_processes_that_share_the_trials():
    first = {"began": 10.0, "ended": 20.0, "epochs": [2, 1], "accuracies": [0.5], "measuring": 1.5}
    second = {"began": 11.0, "ended": 24.0, "epochs": [2, 2], "accuracies": [0.7, 0.9], "measuring": 2.0}
    merged = throughput.merged([first, second])
    assert merged == {"trial_epochs": 7, "seconds": 14.0, "accuracy": 0.7, "measuring": 3.5}
    assert throughput.merged([first, second | {"measuring": None}])["measuring"] is None
    assert throughput.merged([first | {"accuracies": []}])["accuracy"] is None


def test_table():
    runs = [
        *(run("bare", turn, 120, 0.5, measuring=share) for turn, share in enumerate((0.2, 0.1, 0.3))),
        *(run("ours", turn, 100, 0.625, trial_epochs=100 - turn) for turn in range(3)),
    ]
    lines = throughput.table(runs).splitlines()
    assert lines[2:] == [
        "| (e) bare loop | 120 | 0.82x |  | 0.50 | 126% |  | 120 of 12 | 80.0% | 20% |",
        "| this search | 99 | 1.00x |  | 0.63 | 100% |  | 99 of 12 | 80.0% |  |",
    ]
    assert [line.count("|") for line in lines] == [11] * 4
    assert throughput.tables(runs).startswith(
        "**small network (3 convolutions, width 8), no augmentation; all to the end; 3 repetitions, 4 cores, "
        "other programs on 0.1 of them**\n\n|  |"
    )


def test_runs_as_lines(tmp_path):
    throughput.write(tmp_path / "runs.csv", [run("ours", 2, 10, 1.23456)])
    heading, line = (tmp_path / "runs.csv").read_text().splitlines()
    assert heading.split(",")[:5] == ["round", "network", "augmentation", "contender", "repetition"]
    assert line == "all to the end,small,False,ours,2,4,12,10,60,63,12.35,0.1,0.8,"


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
    clock = throughput.CPUClock([process.pid])
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
@pytest.mark.parametrize("contender", throughput.CONTENDERS, ids=lambda contender: contender.name)
def test_contender_runs(contender, root):
    missing = [module for module in contender.needs if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install -e '.[bench]'")
    done = throughput.measure(contender, throughput.ROUNDS[0], task(Path(), root))
    assert done.trial_epochs == done.planned == 2
    assert 0 < done.seconds < done.wall
    assert done.cpu_seconds > 0.2
    assert 0 <= done.accuracy <= 1
    assert (done.measuring is not None) == (contender.script in ("optuna_script", "bare_loop"))


@LINUX
def test_a_contender_that_fails_is_quoted(tmp_path):
    with pytest.raises(RuntimeError, match=r"bare failed(.|\n)*Dataset not found"):
        throughput.run(throughput.CONTENDERS[5], task(tmp_path, tmp_path))
