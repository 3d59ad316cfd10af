"""Where workers go."""

import pytest

from search.workers import place_workers


@pytest.mark.parametrize(
    ("workers", "devices", "cores", "places"),
    [
        (None, ["cpu"], 4, ["cpu"] * 4),
        (None, ["cpu"], 1, ["cpu"]),
        (2, ["cpu"], 16, ["cpu"] * 2),
        (None, ["cuda:0", "cuda:1"], 64, ["cuda:0", "cuda:1"]),
        (None, ["cuda:3"], 64, ["cuda:3"]),
        (5, ["cuda:0", "cuda:2"], 4, ["cuda:0", "cuda:2", "cuda:0", "cuda:2", "cuda:0"]),
        (1, ["cuda:0", "cuda:1"], 4, ["cuda:0"]),
    ],
)
def test_placement(workers, devices, cores, places):
    assert place_workers(workers, devices, cores) == places
