"""A Gaussian process on the trials so far, and the expected improvement by which the next one is picked.

Its kernel's parameters have priors: with few trials the likelihood alone takes noise for structure, and structure for
noise. The formulas are those of Rasmussen and Williams (2006), "Gaussian Processes for Machine Learning", which
scikit-learn's regressor follows too; that one takes three times as long for as few values as these.
"""

import contextlib
import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.stats import norm
from threadpoolctl import ThreadpoolController

VARIANCE_BOUNDS, LENGTH_BOUNDS, NOISE_BOUNDS = (0.1, 10.0), (0.05, 20.0), (1e-3, 1.0)
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


@dataclass(frozen=True)
class Kernel:
    """Covariance of standardized values: a Matern kernel of smoothness 5/2, and noise on each value seen.

    variance: of what is expected; lengths: (f,), one for each feature; noise: variance of a value about it.
    """

    variance: float
    lengths: np.ndarray
    noise: float

    @classmethod
    def most_probable(cls, features: np.ndarray, values: np.ndarray) -> "Kernel":
        """The one of highest posterior density, for values (n,) at features (n, f)."""
        count = features.shape[1]
        center = np.log([1.0, *[LENGTH * math.sqrt(count)] * count, NOISE])
        spread = np.array([math.inf, *[LENGTH_SPREAD] * count, NOISE_SPREAD])
        apart = (features.T[:, :, None] - features.T[:, None, :]) ** 2

        def with_prior(theta: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = cls.of(theta).negative_log_likelihood(apart, values)
            off = (theta - center) / spread
            return value + float(off @ off) / 2, gradient + off / spread

        bounds = np.log([VARIANCE_BOUNDS, *[LENGTH_BOUNDS] * count, NOISE_BOUNDS])
        options = {"maxiter": STEPS}
        return cls.of(minimize(with_prior, center, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x)

    @classmethod
    def of(cls, theta: np.ndarray) -> "Kernel":
        """From the logarithms of variance, lengths and noise, (f + 2,)."""
        variance, *lengths, noise = np.exp(theta)
        return cls(float(variance), np.array(lengths), float(noise))

    def between(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Covariance, without noise, of points (n, f) and (m, f); (n, m)."""
        r = math.sqrt(5) * cdist(one / self.lengths, other / self.lengths)
        return self.variance * (1 + r + r**2 / 3) * np.exp(-r)

    def negative_log_likelihood(self, apart: np.ndarray, values: np.ndarray) -> tuple[float, np.ndarray]:
        """Of values (n,), and its gradient by the logarithms of variance, lengths and noise, (f + 2,).

        apart: squared differences of the features, (f, n, n). Rasmussen and Williams, equations 5.8 and 5.9.
        """
        scaled = 5 / self.lengths**2
        r = np.sqrt(np.tensordot(scaled, apart, 1))
        decay = self.variance * np.exp(-r)
        signal = decay * (1 + r + r**2 / 3)
        identity = np.eye(len(values))
        factor = cho_factor(signal + self.noise * identity, lower=True)
        alpha = cho_solve(factor, values)
        value = values @ alpha / 2 + np.log(np.diag(factor[0])).sum() + len(values) * math.log(2 * math.pi) / 2
        inner = (cho_solve(factor, identity) - np.outer(alpha, alpha)) / 2
        by_lengths = np.tensordot(apart, inner * decay * (1 + r) / 3, 2) * scaled
        return float(value), np.array([np.vdot(inner, signal), *by_lengths, self.noise * np.trace(inner)])


class Surrogate:
    """What is expected at a point, from values seen at others.

    features: (n, f), each in about [0, 1]; values: (n,).
    """

    def __init__(self, features: np.ndarray, values: np.ndarray) -> None:
        fitted = np.linspace(0, len(values) - 1, min(len(values), MOST_FITTED)).round().astype(int)
        self._kernel = Kernel.most_probable(features[fitted], _standardized(values[fitted])[0])
        self._features, self._values = features, values
        self._condition()

    def believe(self, features: np.ndarray) -> None:
        """Take it that points still under way, (m, f), come to what is expected of them: no use to try them again."""
        self._values = np.concatenate([self._values, self.expected_at(features)])
        self._features = np.vstack([self._features, features])
        self._condition()

    def expected(self) -> np.ndarray:
        """The expected values, without noise, at the points seen, (n,)."""
        return self._expected

    def expected_at(self, features: np.ndarray) -> np.ndarray:
        """The expected values, without noise, at points (m, f); (m,)."""
        return self._mean(self._kernel.between(features, self._features))

    def expected_improvement(self, features: np.ndarray) -> np.ndarray:
        """By how much points (m, f) are expected to go below the lowest expected value so far; (m,).

        The lowest seen is no measure: it is a lucky one, where values are noisy.
        """
        covariance = self._kernel.between(features, self._features)
        explained = (solve_triangular(self._factor[0], covariance.T, lower=True) ** 2).sum(0)
        deviation = self._scale * np.sqrt(np.maximum(self._kernel.variance - explained, 1e-12))
        below = self._expected.min() - self._mean(covariance)
        z = below / deviation
        return below * norm.cdf(z) + deviation * norm.pdf(z)

    def _mean(self, covariance: np.ndarray) -> np.ndarray:
        """Expected values of m points, of their covariance (m, n) with those seen."""
        return self._middle + self._scale * (covariance @ self._alpha)

    def _condition(self) -> None:
        """Take in the values seen."""
        standardized, self._middle, self._scale = _standardized(self._values)
        signal = self._kernel.between(self._features, self._features)
        self._factor = cho_factor(signal + self._kernel.noise * np.eye(len(standardized)), lower=True)
        self._alpha = cho_solve(self._factor, standardized)
        self._expected = self._mean(signal)


def _standardized(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Values (n,) with mean 0 and deviation 1; their mean; their deviation, 1 where they are all alike."""
    middle, scale = float(values.mean()), float(values.std())
    scale = scale if scale > 1e-12 * max(abs(middle), 1.0) else 1.0
    return (values - middle) / scale, middle, scale
