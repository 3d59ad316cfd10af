"""The model by which the next trial is picked."""

import inspect

import numpy as np

from search.sampling import gaussian_process
from search.sampling.gaussian_process import Surrogate

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
    most_probable = gaussian_process._most_probable

    def counted(objective, initial, bounds):
        gram = inspect.getclosurevars(objective).nonlocals["self"].X_train_
        fitted.append(len(gram))
        return most_probable(objective, initial, bounds)

    monkeypatch.setattr(gaussian_process, "_most_probable", counted)
    points = np.random.default_rng(0).random((100, 1))
    surrogate = Surrogate(points, bowl(points))
    assert fitted == [gaussian_process.MOST_FITTED]
    assert len(surrogate.expected()) == 100
    assert np.allclose(surrogate.expected(), bowl(points), atol=0.01)
