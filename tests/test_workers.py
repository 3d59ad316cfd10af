"""Where workers go."""

import multiprocessing

import pytest

from search.trial import FINISHED, Job, Outcome
from search.workers import WorkerPool, place_workers


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


def test_of_two_that_end_at_once_the_second_keeps_its_job_until_its_turn(digits, conditions):
    pool, ends = WorkerPool(["cpu", "cpu"], "spaces.cnn", digits, conditions), []
    for number, worker in enumerate(pool.workers):
        worker.connection, end = multiprocessing.Pipe()
        worker.job = Job(number, {}, seed=0, epochs=1, lineage=number)
        end.send(Outcome(number, FINISHED))
        ends.append(end)
    busy = [[worker.job is not None for worker in pool.workers].count(True) for _ in pool.wait(1.0)]
    assert busy == [1, 0]
