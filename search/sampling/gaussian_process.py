"""A Gaussian process on the trials so far, and the expected improvement by which the next one is picked.

scikit-learn's, with priors: with few trials the likelihood alone takes noise for structure, and structure for noise.
"""

import contextlib
import functools
import math
import warnings
from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from threadpoolctl import ThreadpoolController

LENGTH, LENGTH_SPREAD = 0.5, 1.0  # prior of a length scale: log-normal about this times the root of the dimension
NOISE, NOISE_SPREAD = 0.05, 1.4  # prior of the noise: log-normal about this share of the variance
STEPS = 15  # of the optimizer; the posterior is flat soon
MOST_FITTED = 64  # values that the kernel's parameters are fitted to: the time for a step grows with their cube


def one_thread() -> contextlib.AbstractContextManager[object]:
    """Linear algebra on one thread: on such small matrices several take three times the CPU, which is the workers'."""
    return _libraries().limit(limits=1)


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()  # looks through all that is loaded, which takes milliseconds


class Surrogate:
    """What is expected at a point, from values seen at others.

    features: (n, f), each in about [0, 1]; values: (n,).
    """

    def __init__(self, features: np.ndarray, values: np.ndarray) -> None:
        dimensions = features.shape[1]
        lengths = np.full(dimensions, LENGTH * math.sqrt(dimensions))
        kernel = ConstantKernel(1.0, (0.1, 10.0)) * Matern(lengths, (0.05, 20.0), nu=2.5)
        kernel += WhiteKernel(NOISE, (1e-3, 1.0))
        process = GaussianProcessRegressor(kernel, normalize_y=True, optimizer=_most_probable)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound: the parameter does nothing
            fitted = np.linspace(0, len(values) - 1, min(len(values), MOST_FITTED)).round().astype(int)
            process.fit(features[fitted], values[fitted])
        self._signal, self._noise = process.kernel_.k1, process.kernel_.k2.noise_level
        self._features, self._values = features, values
        self._condition()

    def believe(self, features: np.ndarray) -> None:
        """Take it that points still under way, (m, f), come to what is expected of them: no use to try them again."""
        self._values = np.concatenate([self._values, self._process.predict(features)])
        self._features = np.vstack([self._features, features])
        self._condition()

    def expected(self) -> np.ndarray:
        """The expected values, without noise, at the points seen, (n,)."""
        return self._process.predict(self._features)

    def expected_improvement(self, features: np.ndarray) -> np.ndarray:
        """By how much points (m, f) are expected to go below the lowest expected value so far; (m,).

        The lowest seen is no measure: it is a lucky one, where values are noisy.
        """
        mean, deviation = self._process.predict(features, return_std=True)
        deviation = np.maximum(deviation, 1e-12)
        z = (self.expected().min() - mean) / deviation
        return deviation * (z * norm.cdf(z) + norm.pdf(z))

    def _condition(self) -> None:
        """Noise belongs to the values seen and not to what is expected, so it is no part of this kernel."""
        process = GaussianProcessRegressor(self._signal, alpha=self._noise, normalize_y=True, optimizer=None)
        self._process = process.fit(self._features, self._values)


def _most_probable(
    objective: Callable[..., tuple[float, np.ndarray]], initial: np.ndarray, bounds: np.ndarray
) -> tuple[np.ndarray, float]:
    """The kernel's parameters (logarithms: variance, lengths, noise) of highest posterior density."""
    center = initial.copy()
    spread = np.concatenate([[np.inf], np.full(len(initial) - 2, LENGTH_SPREAD), [NOISE_SPREAD]])

    def with_prior(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = objective(theta)
        off = (theta - center) / spread
        return value + float(off @ off) / 2, gradient + off / spread

    found = minimize(with_prior, initial, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS})
    return found.x, float(found.fun)
