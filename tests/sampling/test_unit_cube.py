"""Parameters as points of a unit cube."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search.sampling.unit_cube import UnitCube

SPACE = {
    "depth": IntDistribution(2, 5),
    "width": IntDistribution(8, 48, log=True),
    "kernel_size": IntDistribution(3, 7, step=2),
    "dropout": FloatDistribution(0.0, 0.5),
    "rate": FloatDistribution(1e-4, 1e-2, log=True),
    "quarter": FloatDistribution(0.0, 1.0, step=0.25),
    "kind": CategoricalDistribution(["a", None, 3]),
}


@given(st.lists(st.floats(0, 1), min_size=len(SPACE), max_size=len(SPACE)))
def test_every_point_is_parameters_within_their_ranges_and_back(coordinates):
    cube = UnitCube(SPACE)
    params = cube.params(np.array(coordinates))
    for name, distribution in SPACE.items():
        assert distribution._contains(distribution.to_internal_repr(params[name])), name
    again = cube.params(cube.points([params])[0])
    assert {name: again[name] for name in SPACE if name not in ("dropout", "rate")} == {
        name: params[name] for name in SPACE if name not in ("dropout", "rate")
    }
    assert again["dropout"] == pytest.approx(params["dropout"])
    assert again["rate"] == pytest.approx(params["rate"])
    features = cube.features(np.array([coordinates]))
    assert features.shape == (1, 6 + 3)
    assert np.all((features >= -1e-9) & (features <= 1 + 1e-9))


@pytest.mark.parametrize(
    ("name", "x", "value"),
    [
        ("depth", 0.0, 2),
        ("depth", 0.24, 2),  # each of the four depths has a quarter
        ("depth", 0.26, 3),
        ("depth", 0.76, 5),
        ("depth", 1.0, 5),
        ("kernel_size", 0.32, 3),
        ("kernel_size", 0.34, 5),
        ("dropout", 0.5, 0.25),
        ("rate", 0.5, 1e-3),
        ("quarter", 0.45, 0.5),
        ("kind", 0.34, None),
        ("kind", 1.0, 3),
    ],
)
def test_where_values_lie(name, x, value):
    cube = UnitCube({name: SPACE[name]})
    found = cube.params(np.array([x]))[name]
    assert found == (pytest.approx(value) if isinstance(value, float) else value)
    assert type(found) is type(value)


def test_features_are_those_of_the_value_and_not_of_the_coordinate():
    cube = UnitCube({"depth": SPACE["depth"], "kind": SPACE["kind"]})
    same, other = cube.features(np.array([[0.01, 0.1], [0.24, 0.3]])), cube.features(np.array([[0.26, 0.4]]))
    assert np.array_equal(same[0], same[1])
    assert same[0, 1:].tolist() == [1, 0, 0]
    assert other[0, 1:].tolist() == [0, 1, 0]
    assert other[0, 0] > same[0, 0]


def test_candidates_fill_the_cube_evenly():
    points = UnitCube(SPACE).spread(6, np.random.default_rng(0))
    assert points.shape == (64, len(SPACE))
    for column in points.T:  # a quarter of them in each quarter, of every coordinate
        assert np.histogram(column, bins=4, range=(0, 1))[0].tolist() == [16, 16, 16, 16]
