"""The model by which the next trial is picked."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from search.sampling import gaussian_process
from search.sampling.gaussian_process import Kernel, Surrogate

GRID = np.linspace(0, 1, 101)[:, None]


def bowl(x):
    """Lowest, 0, at 0.3."""
    return (x[:, 0] - 0.3) ** 2


def test_it_expects_between_points_what_the_points_say():
    points = np.linspace(0, 1, 9)[:, None]
    surrogate = Surrogate(points, bowl(points))
    surrogate.believe(GRID[[37]])
    assert abs(surrogate.expected()[-1] - bowl(GRID[[37]])[0]) < 0.02


def test_the_next_point_is_near_the_minimum_and_not_one_under_way():
    points = np.array([[0.0], [0.15], [0.55], [0.8], [1.0]])
    surrogate = Surrogate(points, bowl(points))
    first = GRID[np.argmax(surrogate.expected_improvement(GRID))]
    assert 0.2 < first[0] < 0.45
    before = surrogate.expected_improvement(first[None])[0]
    surrogate.believe(first[None])
    assert surrogate.expected_improvement(first[None])[0] < before / 2


def test_a_lucky_value_among_noisy_ones_is_not_believed():
    rng = np.random.default_rng(0)
    points = rng.random((40, 1))
    values = bowl(points) + 0.1 * rng.standard_normal(40)
    lowest = values.argmin()
    expected = Surrogate(points, values).expected()
    assert expected[lowest] > values[lowest] + 0.05


def test_values_that_are_all_alike():
    surrogate = Surrogate(np.array([[0.1], [0.2], [0.9]]), np.full(3, 1.5))
    assert np.allclose(surrogate.expected(), 1.5)
    assert np.isfinite(surrogate.expected_improvement(GRID)).all()


def test_two_trials_of_one_configuration():
    surrogate = Surrogate(np.array([[0.5], [0.5], [0.9]]), np.array([1.0, 2.0, 3.0]))
    assert 1.0 < surrogate.expected()[0] < 2.5


def test_the_kernel_is_fitted_to_some_of_many_trials_and_all_of_them_count(monkeypatch):
    fitted = []
    most_probable = Kernel.most_probable

    def counted(features, values):
        fitted.append(len(values))
        return most_probable(features, values)

    monkeypatch.setattr(Kernel, "most_probable", counted)
    points = np.random.default_rng(0).random((100, 1))
    surrogate = Surrogate(points, bowl(points))
    assert fitted == [gaussian_process.MOST_FITTED]
    assert len(surrogate.expected()) == 100
    assert np.allclose(surrogate.expected(), bowl(points), atol=0.01)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 30), dimensions=st.integers(1, 9))
def test_likelihood_and_gradient_are_those_of_scikit_learn(seed, count, dimensions):
    rng = np.random.default_rng(seed)
    features, values = rng.random((count, dimensions)), rng.standard_normal(count)
    theta = rng.uniform(-1, 1, dimensions + 2)
    apart = (features.T[:, :, None] - features.T[:, None, :]) ** 2
    ours = Kernel.of(theta).negative_log_likelihood(apart, values)
    theirs = regressor(Kernel.of(theta)).fit(features, values).log_marginal_likelihood(theta, eval_gradient=True)
    assert np.isclose(ours[0], -theirs[0])
    assert np.allclose(ours[1], -theirs[1])


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(3, 30))
def test_what_is_expected_and_how_surely_is_that_of_scikit_learn(seed, count):
    rng = np.random.default_rng(seed)
    features, values, new = rng.random((count, 3)), 5 + 2 * rng.standard_normal(count), rng.random((7, 3))
    surrogate = Surrogate(features, values)
    kernel = surrogate._kernel
    theirs = GaussianProcessRegressor(regressor(kernel).kernel.k1, alpha=kernel.noise, normalize_y=True, optimizer=None)
    theirs.fit(features, values)
    assert np.allclose(surrogate.expected(), theirs.predict(features))
    mean, deviation = theirs.predict(new, return_std=True)
    z = (surrogate.expected().min() - mean) / deviation
    assert np.allclose(surrogate.expected_improvement(new), deviation * (z * norm.cdf(z) + norm.pdf(z)), atol=1e-6)


def test_the_kernel_is_the_most_probable_one():
    """Off it in any direction, likelihood (scikit-learn's) and priors together are lower."""
    rng = np.random.default_rng(0)
    features = rng.random((20, 2))
    values = np.sin(6 * features[:, 0]) + 0.1 * rng.standard_normal(20)
    found = Kernel.most_probable(features, values)

    def log_posterior(theta):
        likelihood = regressor(Kernel.of(theta)).fit(features, values).log_marginal_likelihood(theta)
        lengths = theta[1:-1] - np.log(0.5 * np.sqrt(2))  # log-normal about 0.707, 1.0 wide
        return likelihood - (lengths @ lengths) / 2 - ((theta[-1] - np.log(0.05)) / 1.4) ** 2 / 2

    theta = np.log([found.variance, *found.lengths, found.noise])
    for step in 0.15 * np.vstack([np.eye(4), -np.eye(4)]):
        assert log_posterior(theta + step) < log_posterior(theta)


def regressor(kernel):
    """scikit-learn's, with the parameters of ours."""
    signal = ConstantKernel(kernel.variance) * Matern(kernel.lengths, nu=2.5)
    return GaussianProcessRegressor(signal + WhiteKernel(kernel.noise), alpha=0.0, optimizer=None)
