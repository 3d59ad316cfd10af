"""The campaign of faults: how much work was done twice, worked by hand."""

import pytest

from studies.benchmarks.faults.repeated import Repeated, Step, read_steps, repeated

ONE, OTHER = 7, 8  # seeds of trials


def steps(process, first, times, seed=ONE):
    return [Step(seed, process, number, 50, time) for number, time in enumerate(times, start=first)]


@pytest.mark.parametrize(
    ("written", "cost"),
    [
        (steps(1, 1, [0, 1, 2]), []),  # left alone
        (steps(1, 1, [0, 1, 3]) + steps(2, 1, [9, 10, 11, 12]), [Repeated(150, 5.0)]),  # 1 + 2 s, the last one like 2
        (steps(1, 1, [0, 1, 3]) + steps(2, 3, [9, 10]), [Repeated(50, 2.0)]),  # from a checkpoint
        (steps(1, 1, [0, 1, 3]) + steps(2, 4, [9, 10]), [Repeated(0, 0)]),
        (steps(1, 1, [0, 1]) + steps(2, 2, [5, 6]) + steps(3, 3, [9]), [Repeated(50, 1.0), Repeated(50, 1.0)]),
        (steps(1, 1, [0, 1]) + steps(1, 1, [5, 6], seed=OTHER), []),
        (steps(1, 1, [0]) + steps(2, 1, [5], seed=OTHER) + steps(3, 1, [7]), [Repeated(50, 0.0)]),
    ],
)
def test_what_an_interruption_cost(written, cost):
    assert list(repeated(written)) == cost


def test_what_networks_write_down_is_read(tmp_path):
    path = tmp_path / "steps.txt"
    assert read_steps(path) == []
    path.write_text("7 100 1 50 12.5\n7 100 2 50 13.0\n")
    assert read_steps(path) == [Step(7, 100, 1, 50, 12.5), Step(7, 100, 2, 50, 13.0)]
