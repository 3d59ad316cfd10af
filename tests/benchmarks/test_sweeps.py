"""The decision whether a parameter acts, by hand; the table of the sweeps, read and written."""

from pathlib import Path

import numpy as np
import pytest

from studies.benchmarks.pruning import sweeps


def test_effect_by_hand():
    """Means 4, 2, 3; each variance over seeds is 1, so a mean of three has an error of sqrt(1/3): 2 / 0.57735."""
    measured = np.array([[3.0, 4.0, 5.0], [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]])
    effect = sweeps.effect(measured, 0.05)
    assert effect.spread == pytest.approx(2 * 3**0.5)  # 3.46
    assert effect.threshold == pytest.approx(4.339, abs=1e-3)  # printed tables: 3 means, 6 degrees of freedom
    assert not effect.acts
    assert sweeps.effect(measured * [[1.5], [1], [1]], 0.05).acts  # means 6, 2, 3; variance 4.25 / 3: 4 / 0.687 = 5.8


def test_noise_is_pooled_over_values():
    """Variances 8 and 0 pool to 4; two seeds give an error of sqrt(4 / 2), and the means 2 and 5 are 3 apart."""
    assert sweeps.effect(np.array([[0.0, 4.0], [5.0, 5.0]]), 0.05).spread == pytest.approx(3 / 2**0.5)


@pytest.mark.parametrize(
    ("values", "seeds", "level", "threshold"),
    [
        (3, 3, 0.05, 4.339),
        (5, 3, 0.05, 4.654),
        (5, 5, 0.01, 5.294),
        (2, 5, 0.05, 2.306 * 2**0.5),  # two values: Student's t test, 8 degrees of freedom
    ],
)
def test_threshold_of_printed_tables(values, seeds, level, threshold):
    measured = np.random.default_rng(0).normal(size=(values, seeds))
    assert sweeps.effect(measured, level).threshold == pytest.approx(threshold, abs=1e-3)


def test_grid_spans_the_space():
    grid, ranges = sweeps.grid(), sweeps.cnn.Ranges()
    for name, values in grid.items():
        low, high = getattr(ranges, name)
        assert (values[0], values[-1]) == (low, high)
    assert grid["kernel_size"] == [3, 5]
    assert grid["batch_size"] == [32, 54, 90, 152, 256]  # each 8 ** 0.25 times the one before
    assert grid["dropout"] == [0.0, 0.125, 0.25, 0.375, 0.5]


def test_table_comes_back(tmp_path):
    table = tmp_path / "sweeps.csv"
    assert sweeps.read(table) == {}
    runs = {
        sweeps.Job("width", 48, 1): sweeps.Result(0.33, 0.21, 0.12, 0.88, 14),
        sweeps.Job("dropout", 0.125, 0): sweeps.Result(0.35, -0.01, 0.36, 0.87, 9),
    }
    sweeps.write(table, runs)
    assert table.read_text().splitlines() == [
        "parameter,value,seed,val_loss,gap,train_loss,val_accuracy,best_epoch",
        "dropout,0.125,0,0.35,-0.01,0.36,0.87,9",
        "width,48,1,0.33,0.21,0.12,0.88,14",
    ]
    assert sweeps.read(table) == runs


def test_the_readme_shows_the_recorded_runs():
    table = Path(sweeps.__file__).with_suffix(".csv")
    assert sweeps.summary(sweeps.read(table), seeds=5) in table.with_name("README.md").read_text()
