"""The campaign of faults: how much work was done twice, worked by hand."""

import pytest

from studies.benchmarks.faults.repeated import Repeated, Step, Training, of_the_race, read_steps, repeated

ONE, OTHER = Training(7, 1), Training(8, 1)
RACED, BESIDE = Training(9, 1), Training(9, 2)  # one seed


def steps(process, first, times, training=ONE):
    return [Step(training, process, number, 50, time) for number, time in enumerate(times, start=first)]


@pytest.mark.parametrize(
    ("written", "cost"),
    [
        (steps(1, 1, [0, 1, 2]), []),  # left alone
        (
            steps(1, 1, [0, 1, 3]) + steps(2, 1, [9, 10, 11, 12]),
            [Repeated(ONE, 150, 5.0)],
        ),  # 1 + 2 s, the last one like 2
        (steps(1, 1, [0, 1, 3]) + steps(2, 3, [9, 10]), [Repeated(ONE, 50, 2.0)]),  # from a checkpoint
        (steps(1, 1, [0, 1, 3]) + steps(2, 4, [9, 10]), [Repeated(ONE, 0, 0)]),
        (steps(1, 1, [0, 1]) + steps(2, 2, [5, 6]) + steps(3, 3, [9]), [Repeated(ONE, 50, 1.0)] * 2),
        (steps(1, 1, [0, 1]) + steps(1, 1, [5, 6], OTHER), []),
        (steps(1, 1, [0]) + steps(2, 1, [5], OTHER) + steps(3, 1, [7]), [Repeated(ONE, 50, 0.0)]),
        (steps(1, 1, [0, 1], RACED) + steps(2, 1, [5, 6], BESIDE), []),
    ],
)
def test_what_an_interruption_cost(written, cost):
    assert list(repeated(written)) == cost


def test_what_networks_write_down_is_read(tmp_path):
    path = tmp_path / "steps.txt"
    assert read_steps(path) == []
    path.write_text("7 1 100 1 50 12.5\n8 1 100 2 50 13.0\n")
    assert read_steps(path) == [Step(ONE, 100, 1, 50, 12.5), Step(OTHER, 100, 2, 50, 13.0)]


def test_trainings_of_the_race_are_told_by_the_seed_that_they_share():
    written = steps(1, 1, [0, 1]) + steps(1, 1, [2], OTHER) + steps(1, 1, [3], RACED) + steps(2, 1, [3], BESIDE)
    assert of_the_race(written) == {RACED, BESIDE}
