"""A stand-in for training: a recorded table says what a configuration would come to.

A Gaussian process predicts the loss and the gap at the best epoch from the configuration. How the run gets there, and
what becomes of it afterwards, is taken from a recorded run with a similar configuration. The seed adds noise.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold

from search.measurement import History
from spaces.cnn import Ranges
from studies.benchmarks.curve_tables import read_records

Config = dict[str, Any]

LOG_SCALE = ("width", "weight_decay", "batch_size", "learning_rate")
NEIGHBOURS = 3  # recorded runs of similar configurations, one of which lends its curves
SEED_STD = 0.02  # of a validation loss, relative: the same configuration with another seed (tables/fashion_repeats)
GAP_SEED_STD = 0.03  # of the gap, relative to the validation loss


@dataclass(frozen=True)
class Recorded:
    """A table of runs that were all trained to the end; arrays of shape (runs, epochs)."""

    name: str
    configs: list[Config]
    log_loss: np.ndarray  # log of the validation loss
    gap: np.ndarray  # relative to the validation loss
    rise_z: np.ndarray  # paired z of the validation losses against the best epoch so far
    loss_se: float  # standard error of a validation loss, relative to it; the median
    gap_se: float  # of a gap, relative to the validation loss; the median

    @classmethod
    def read(cls, path: Path) -> "Recorded":
        """The runs of a curve table whose losses are all finite. Raises ValueError where it is no curve table."""
        records = [record for record in read_records(path) if _finite(record["history"])]
        curves = {name: np.array([record["history"][name] for record in records]) for name in records[0]["history"]}
        val_loss = curves["val_loss"]
        return cls(
            name=path.name.split(".")[0],
            configs=[record["config"] for record in records],
            log_loss=np.log(val_loss),
            gap=(val_loss - curves["train_loss"]) / val_loss,
            rise_z=curves["val_rise_z"],
            loss_se=float(np.median(curves["val_loss_se"] / val_loss)),
            gap_se=float(np.median(curves["gap_se"] / val_loss)),
        )

    @property
    def epochs(self) -> int:
        """The length of each run."""
        return self.log_loss.shape[1]

    @cached_property
    def ends(self) -> np.ndarray:
        """Log validation loss and relative gap at each run's best epoch, (runs, 2)."""
        best = self.log_loss.argmin(axis=1)
        rows = np.arange(len(best))
        return np.stack([self.log_loss[rows, best], self.gap[rows, best]], axis=1)

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """What each parameter was drawn from, as far as the table shows: beyond it nothing is known."""
        return {name: _distribution(name, [config[name] for config in self.configs]) for name in vars(Ranges())}

    def features(self, configs: Sequence[Config]) -> np.ndarray:
        """Configurations as points in the unit cube, (configs, parameters)."""
        columns = []
        for name, distribution in self.distributions.items():
            scale = math.log if name in LOG_SCALE else float
            low, high = scale(distribution.low), scale(distribution.high)  # type: ignore[attr-defined]
            columns.append([(scale(config[name]) - low) / (high - low) for config in configs])
        return np.array(columns).T


class Surrogate:
    """Runs of any configuration within the ranges of a table."""

    def __init__(self, table: Recorded) -> None:
        self.table = table
        self._points = table.features(table.configs)
        self._processes = [_fit(self._points, column) for column in table.ends.T]
        self._scales = self._processes[0].kernel_.k1.k2.length_scale

    def expected(self, config: Config) -> tuple[float, float]:
        """The validation loss and the gap (nats) that a configuration comes to at its best epoch, on average."""
        log_loss, gap = self._predict(config)
        return math.exp(log_loss), gap * math.exp(log_loss)

    def clipped(self, config: Config) -> Config:
        """A configuration within the ranges of the table."""
        bounds = {name: (axis.low, axis.high) for name, axis in self.table.distributions.items()}  # type: ignore[attr-defined]
        return {name: type(value)(min(max(value, bounds[name][0]), bounds[name][1])) for name, value in config.items()}

    def draw(self, config: Config, rng: np.random.Generator) -> History:
        """The curves of one run with a seed of its own."""
        near = np.square((self._points - self.table.features([config])) / self._scales).sum(axis=1)
        row = rng.choice(np.argsort(near, kind="stable")[:NEIGHBOURS])
        noise = rng.standard_normal(2) * (SEED_STD, GAP_SEED_STD)
        log_loss, gap = self._predict(config) + noise - self.table.ends[row]
        val_loss = np.exp(self.table.log_loss[row] + log_loss)
        relative_gap = np.minimum(self.table.gap[row] + gap, 0.999)  # a training loss is positive
        unknown = np.zeros(len(val_loss))
        curves = {
            "train_loss": val_loss * (1 - relative_gap),
            "val_loss": val_loss,
            "train_accuracy": unknown,
            "val_accuracy": unknown,
            "val_loss_se": self.table.loss_se * val_loss,
            "gap_se": self.table.gap_se * val_loss,
            "gap": val_loss * relative_gap,
            "val_rise_z": self.table.rise_z[row],
        }
        return {name: curve.tolist() for name, curve in curves.items()}

    def _predict(self, config: Config) -> np.ndarray:
        point = self.table.features([config])
        return np.array([process.predict(point)[0] for process in self._processes])


def cross_validated(table: Recorded, folds: int = 5, seed: int = 0) -> tuple[float, float]:
    """R2 of the log loss and of the relative gap at the best epoch, for runs that the surrogate has not seen."""
    points, predicted = table.features(table.configs), np.full_like(table.ends, np.nan)
    for train, test in KFold(folds, shuffle=True, random_state=seed).split(points):
        for target in (0, 1):
            predicted[test, target] = _fit(points[train], table.ends[train, target]).predict(points[test])
    unexplained = np.square(table.ends - predicted).sum(axis=0)
    loss, gap = 1 - unexplained / np.square(table.ends - table.ends.mean(axis=0)).sum(axis=0)
    return float(loss), float(gap)


def _fit(points: np.ndarray, values: np.ndarray) -> GaussianProcessRegressor:
    scales = Matern(np.ones(points.shape[1]), (1e-1, 1e2), nu=2.5)
    kernel = ConstantKernel(1.0, (1e-2, 1e3)) * scales + WhiteKernel(0.1, (1e-3, 1.0))
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound: the parameter does nothing
        return process.fit(points, values)


def _distribution(name: str, values: Sequence[float]) -> BaseDistribution:
    low, high = min(values), max(values)
    if name == "kernel_size":
        return IntDistribution(int(low), int(high), step=2)
    if isinstance(low, int):
        return IntDistribution(low, int(high), log=name in LOG_SCALE)
    return FloatDistribution(low, high, log=name in LOG_SCALE)


def _finite(history: Mapping[str, Sequence[float | None]]) -> bool:
    return all(value is not None and math.isfinite(value) for name in ("val_loss", "gap") for value in history[name])
