"""The range in which most values lie."""

import pytest

from search.insight.robust import robust_range


@pytest.mark.parametrize(
    ("values", "least", "keep", "expected"),
    [
        # median 0.5, deviations .1 .1 0 .1 82.5: their median 0.1, so 0.5 is within reach
        pytest.param([0.4, 0.6, 0.5, 0.4, 83.0], 0.1, [], (0.4, 0.6), id="one that exploded is cut off"),
        pytest.param([83.0, 0.4, 0.6, 0.5, -70.0], 0.1, [], (0.4, 0.6), id="on both sides"),
        pytest.param([0.4, 0.6, 0.5, 0.4, 83.0], 0.1, [2.0], (0.4, 2.0), id="what is kept is in it"),
        pytest.param([0.4, 0.6, 0.5, 0.4, 83.0], 90.0, [], (0.4, 83.0), id="nothing within `least` is far off"),
        # reach 0.5, so 1.05 is far off; the others take 0.2 of 0.65, or 0.4 of 0.65
        pytest.param([0.4, 0.6, 0.5, 0.4, 1.05], 0.1, [], (0.4, 0.6), id="cut where the others take less than half"),
        pytest.param([0.4, 0.6, 0.5, 0.4, 1.05], 0.1, [0.8], (0.4, 1.05), id="left where they take more"),
        pytest.param([0.5, 0.5, 0.5, 0.9], 0.1, [], (0.5, 0.5), id="most are equal"),
        pytest.param([0.5], 0.1, [], (0.5, 0.5), id="one value"),
    ],
)
def test_the_range(values, least, keep, expected):
    assert robust_range(values, least, keep) == expected


def test_nothing_has_no_range():
    with pytest.raises(ValueError, match="no median"):
        robust_range([], 1.0)
