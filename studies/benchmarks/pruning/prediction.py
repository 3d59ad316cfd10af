"""Predict what a paused run would still gain, from its first epochs and its parameters."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np

from studies.benchmarks.pruning.replay import Run

LOGGED = ("width", "weight_decay", "batch_size", "learning_rate")  # searched on a scale of logarithms
LOWEST = 1e-12  # nats: losses at or below it count as this
FEWEST = 3  # runs to learn from
LINEAR = (0.2, 0.5, 0.8, 1.0)  # share of the linear part
LENGTHS = (0.5, 1.0, 2.0, 4.0)  # of the smooth part, in standard deviations of the features
NOISES = (0.05, 0.1, 0.2, 0.5, 1.0, 3.0)  # variance, relative to that of the values without noise
STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # of the ridge penalty


def curve_features(run: Run, epochs: int) -> np.ndarray:
    """Eight features of the first `epochs` epochs, shape (8,). Losses are logarithms, gaps are nats."""
    best, half = run.best_by[epochs - 1], run.best_by[max(epochs // 2, 1) - 1]
    before = run.best_by[max(epochs - 2, 0)]
    if best < 0:
        return np.full(8, np.nan)
    loss, train = (np.log(np.maximum(losses, LOWEST)) for losses in (run.val_loss, run.train_loss))
    half, before = (best if epoch < 0 else epoch for epoch in (half, before))
    return np.array(
        [
            loss[best],
            loss[half] - loss[best],
            loss[before] - loss[best],
            _finite(loss[epochs - 1] - loss[best]),
            train[best],
            train[half] - train[best],
            run.gap[best],
            run.gap[best] - run.gap[half],
        ]
    )


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def config_features(run: Run) -> np.ndarray:
    """The numbers of a configuration in the order of their names, on the scales that they are searched on."""
    numbers = {name: value for name, value in sorted(run.config.items()) if isinstance(value, int | float)}
    return np.array([math.log(value) if name in LOGGED else float(value) for name, value in numbers.items()])


class Model(Protocol):
    """A regression with its uncertainty."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn from standardized features of shape (n, p) and values of shape (n,), n >= 3."""

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of a new value for each row, shapes (m,)."""


class Gaussian:
    """A Gaussian process: a part linear in the features, a smooth part, and noise.

    The share of the linear part, the length scale and the noise are those of a grid with the highest marginal
    likelihood; the variance is integrated out (Rasmussen and Williams, 2006, section 5.4; prior of one observation).
    """

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        self._x, self._mean, self._unit = x, float(y.mean()), float(y.std()) or 1e-9
        highest = -math.inf
        for linear, length in product(LINEAR, LENGTHS):
            eigenvalues, vectors = np.linalg.eigh(_covariance(x, x, linear, length))
            z = vectors.T @ ((y - self._mean) / self._unit)
            for noise in NOISES:
                variances = np.maximum(eigenvalues, 0.0) + noise
                misfit = float((z**2 / variances).sum()) + 1
                likelihood = -(np.log(variances).sum() + (len(y) + 1) * math.log(misfit)) / 2
                if likelihood > highest:
                    highest, self._kernel = likelihood, (linear, length)
                    self._noise, self._variance = noise, misfit / (len(y) + 1)
                    self._weights, self._root = vectors @ (z / variances), vectors / np.sqrt(variances)

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        across = _covariance(x, self._x, *self._kernel)
        own = np.diag(_covariance(x, x, *self._kernel))
        variance = own + self._noise - ((across @ self._root) ** 2).sum(axis=1)
        return self._mean + self._unit * across @ self._weights, self._unit * np.sqrt(self._variance * variance)


def _covariance(x: np.ndarray, others: np.ndarray, linear: float, length: float) -> np.ndarray:
    """Of values without noise, shape (n, m); features have a mean square of 1, so distances do not grow with p."""
    squares = ((x[:, None] - others) ** 2).mean(axis=2)
    return linear * x @ others.T / x.shape[1] + (1 - linear) * np.exp(-squares / (2 * length**2))


class Ridge:
    """Linear regression with a penalty, its strength and its error from leaving out one run at a time."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        self._mean, self._centre = float(y.mean()), x.mean(axis=0)
        u, s, vt = np.linalg.svd(x - self._centre, full_matrices=False)
        self._error = math.inf
        for strength in STRENGTHS:
            shrunk = s**2 / (s**2 + strength)
            leverage = 1 / len(y) + (u**2 * shrunk).sum(axis=1)
            left_out = (y - self._mean - u @ (shrunk * (u.T @ y))) / np.maximum(1 - leverage, 1e-6)
            error = float(np.sqrt(np.mean(left_out**2)))
            if error < self._error:
                self._error = error
                self._weights = vt.T @ (s / (s**2 + strength) * (u.T @ y))

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._mean + (x - self._centre) @ self._weights, np.full(len(x), self._error)


class Forecast:
    """What the runs of a search would still gain, learned from those that have ended.

    For each number of epochs that runs wait at, one model predicts by how much the log loss of the best epoch will fall
    until the end, and one how the gap there will change. As in the hopeless rule, n runs are no certain knowledge:
    standard deviations are sqrt(1 + 1/n) n / (n - 1) times as large. Fewer than three runs predict no change.
    """

    def __init__(self, runs: Sequence[Run], model: Callable[[], Model], config: bool) -> None:
        self._runs, self._model = runs, model
        self._config = [config_features(run) if config else np.zeros(0) for run in runs]
        self._levels: dict[int, _Level] = {}  # by the number of epochs

    def predict(self, known: np.ndarray, ended: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations, shapes (2, runs): of the fall of the log loss and the change of the gap.

        known: epochs of each run; ended: whether it gets no more; shapes (runs,). Both are 0 for a run that has ended.
        """
        means, sds = np.zeros((2, 2, len(self._runs)))
        for epochs in sorted(set(known[~ended & (known > 0)].tolist())):
            finite = np.array([run.result(epochs) >= 0 for run in self._runs])
            waiting = np.flatnonzero(finite & ~ended & (known == epochs))
            learnt = np.flatnonzero(finite & ended & (known > epochs))
            if len(waiting) and len(learnt) >= FEWEST:
                level = self._levels.get(epochs)
                if level is None or level.n != len(learnt):
                    self._levels[epochs] = level = self._learn(epochs, learnt, waiting, known)
                x = self._features(waiting, epochs)
                for which, model in enumerate(level.models):
                    means[which, waiting], sds[which, waiting] = model.predict((x - level.centre) / level.scale)
                sds[:, waiting] *= math.sqrt(1 + 1 / level.n) * level.n / (level.n - 1)
        return means, sds

    def _learn(self, epochs: int, learnt: np.ndarray, waiting: np.ndarray, known: np.ndarray) -> "_Level":
        """Models of the runs that have ended; features are on the scale of those and of the waiting runs."""
        x = self._features(np.concatenate([learnt, waiting]), epochs)
        level = _Level(len(learnt), x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9), (self._model(), self._model()))
        y = np.array([gains(self._runs[i], epochs, known[i]) for i in learnt])
        for which, model in enumerate(level.models):
            model.fit((x[: level.n] - level.centre) / level.scale, y[:, which])
        return level

    def _features(self, numbers: np.ndarray, epochs: int) -> np.ndarray:
        return np.array([[*curve_features(self._runs[i], epochs), *self._config[i]] for i in numbers])


@dataclass(frozen=True)
class _Level:
    n: int  # runs that the models learned from
    centre: np.ndarray  # of the features
    scale: np.ndarray
    models: tuple[Model, Model]


def gains(run: Run, epochs: int, end: int) -> tuple[float, float]:
    """From the best of the first `epochs` epochs to that of `end`: the fall of the log loss, the change of the gap."""
    now, then = run.result(epochs), run.result(end)
    fall = math.log(max(run.val_loss[now], LOWEST)) - math.log(max(run.val_loss[then], LOWEST))
    return fall, float(run.gap[then] - run.gap[now])
