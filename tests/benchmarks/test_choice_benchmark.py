"""The comparison of choices, on curves worked by hand."""

import gzip
import json

import numpy as np
import pytest

from studies.benchmarks.choice import run as choice


def record(seed, val, gap, test, repeats=None):
    epochs = len(val)
    history = {
        "val_loss": val,
        "gap": gap,
        "test_loss": test,
        "train_loss": [v - g for v, g in zip(val, gap, strict=True)],
        **dict.fromkeys(("val_loss_se", "gap_se"), [0.02] * epochs),
        **dict.fromkeys(("train_accuracy", "val_accuracy", "accuracy_gap"), [0.5] * epochs),
    }
    line = {"config": {}, "seed": seed, "parameters": 10, "history": history}
    return line if repeats is None else line | {"repeats": repeats}


# run 0 has the lowest loss, run 1 is within noise of it with a smaller gap, run 2 is out of reach
RUNS = [
    record(0, [0.8, 0.50], [0.1, 0.30], [0.8, 0.60]),
    record(1, [0.52, 0.51], [0.05, 0.20], [0.53, 0.63]),
    record(2, [0.9, 0.90], [0.0, 0.00], [0.9, 0.90]),
]
AGAIN = [
    record(10, [0.8, 0.54], [0.1, 0.3], [0.8, 0.66], repeats=0),
    record(11, [0.6, 0.51], [0.1, 0.3], [0.8, 0.60], repeats=1),
]


def write(path, records):
    path.write_bytes(gzip.compress("\n".join(json.dumps(line) for line in records).encode()))
    return path


@pytest.fixture
def recorded(tmp_path):
    return choice.load(write(tmp_path / "t.jsonl.gz", RUNS), write(tmp_path / "again.jsonl.gz", AGAIN))


@pytest.mark.parametrize(
    ("name", "number", "epoch"),
    [
        ("lowest val_loss", 0, 1),
        ("within image noise", 1, 1),
        ("within image and seed noise", 1, 1),
        ("within image noise, every epoch", 1, 0),
    ],
)
def test_each_choice(recorded, name, number, epoch):
    run = choice.CHOICES[name](*recorded)
    assert (run.number, run.best_epoch) == (number, epoch)


def test_figures_by_hand(recorded):
    found = choice.figures(*recorded, choice.image_noise, searches=3, size=3, seed=0)
    assert found["loss"] == pytest.approx(0.63 / 0.60 - 1)
    assert found["again"] == pytest.approx(0.60 / 0.66 - 1)
    assert found["gap"] == pytest.approx(0.2)
    assert found["differs"] == 1.0


def test_paired_losses_are_read_from_beside_the_table(tmp_path):
    path = write(tmp_path / "t.jsonl.gz", RUNS)
    alike = np.full(50, 0.5, dtype=np.float16)
    np.savez(tmp_path / "t.npz", **{"0": alike, "1": alike + np.float16(0.0)})
    recorded, losses = choice.load(path, None)
    assert set(losses) == {0, 1}
    assert choice.image_noise(recorded, losses).number == 0  # no noise at all between the two


def test_the_command(tmp_path, capsys, monkeypatch):
    path, again = write(tmp_path / "t.jsonl.gz", RUNS), write(tmp_path / "again.jsonl.gz", AGAIN)
    monkeypatch.setattr("sys.argv", ["run.py", str(path), "--repeats", str(again)])
    assert choice.main() == 0
    printed = capsys.readouterr().out
    assert "seed noise by 2 repeats of 2 runs: nan among themselves" in printed
    assert all(name in printed for name in choice.CHOICES)


def test_a_missing_table_is_named(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["run.py", "none.jsonl"])
    assert choice.main() == 2
    assert "none.jsonl" in capsys.readouterr().err
