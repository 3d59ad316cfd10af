"""Where workers go, and what they say."""

import multiprocessing
import os
import subprocess
import sys
import time

import pytest
from pools import spoken

from search.stopping.stopped import Stopped
from search.training.trial import Job, Outcome, Report
from search.workers.process_pool import WorkerPool, place_workers


def test_several_workers_on_each_gpu_are_placed_round_robin():
    assert place_workers(None, ["cuda:0", "cuda:1"], 64, packed=2) == ["cuda:0", "cuda:1"] * 2
    assert place_workers(3, ["cuda:0"], 64, packed=2) == ["cuda:0"] * 3
    assert place_workers(None, ["cpu"], 2, packed=8) == ["cpu"] * 2


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


def test_after_the_first_a_worker_has_trained_its_first_epoch_in_half_a_second(digits, conditions):
    pool, seconds = WorkerPool(["cpu"] * 4, "spaces.cnn", digits, conditions), []
    config = {"depth": 2, "width": 8, "kernel_size": 3, "dropout": 0.0, "batch_size": 256}
    for number, worker in enumerate(pool.workers):
        began = time.monotonic()
        pool.submit(worker, Job(number, config, seed=0, epochs=1, lineage=number, repeat=1))
        assert isinstance(next(spoken(pool)), Report)
        seconds.append(time.monotonic() - began)
    pool.close()
    assert min(seconds[1:]) < 0.5


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity on this system")
def test_cores_that_this_process_may_not_use_are_not_counted():
    one = str(min(os.sched_getaffinity(0)))
    code = f"import os; os.sched_setaffinity(0, {{{one}}}); import joblib; print(joblib.cpu_count())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"


def test_of_two_that_end_at_once_the_second_keeps_its_job_until_its_turn(digits, conditions):
    pool, ends = WorkerPool(["cpu", "cpu"], "spaces.cnn", digits, conditions), []
    for number, worker in enumerate(pool.workers):
        worker.connection, end = multiprocessing.Pipe()
        worker.job = Job(number, {}, seed=0, epochs=1, lineage=number)
        end.send(Outcome(number, Stopped.FINISHED))
        ends.append(end)
    busy = [[worker.job is not None for worker in pool.workers].count(True) for _ in pool.wait(1.0)]
    assert busy == [1, 0]
