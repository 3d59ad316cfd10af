"""Where workers go."""

import multiprocessing
import os
import subprocess
import sys
import time

import pytest
import torch

from search.engine.workers import WorkerPool, place_workers
from search.processes import ALLOCATOR, start_fork_server
from search.stopping.stopped import Stopped
from search.training.trial import Job, Outcome, Report


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
        pool.submit(worker, Job(number, config, seed=0, epochs=1, lineage=number, keeps=False))
        said = next(pool.wait(60.0))
        assert isinstance(said.content, Report)
        seconds.append(time.monotonic() - began)
    pool.close()
    assert min(seconds[1:]) < 0.5


def _imported_by_a_first_optimizer():
    before = set(sys.modules)
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    return len(set(sys.modules) - before)


def test_what_torch_puts_off_until_the_first_optimizer_is_imported_before_workers_are_forked():
    start_fork_server()
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        assert pool.apply(_imported_by_a_first_optimizer) == 0


@pytest.mark.parametrize(("mine", "theirs"), [({}, ALLOCATOR), ({"GLIBC_TUNABLES": ""}, {"GLIBC_TUNABLES": ""})])
def test_workers_allocate_huge_pages_unless_the_user_wants_something_else(mine, theirs):
    code = """
import multiprocessing, os
from search.processes import start_fork_server
start_fork_server()
print(os.environ.get("GLIBC_TUNABLES"), flush=True)
multiprocessing.get_context("forkserver").Process(target=os.system, args=("echo $GLIBC_TUNABLES",)).start()
"""
    environment = {name: value for name, value in os.environ.items() if name not in ALLOCATOR} | mine
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines() == [str(mine.get("GLIBC_TUNABLES")), theirs["GLIBC_TUNABLES"]], done.stderr


def test_ctrl_c_while_the_fork_server_imports_leaves_it_alone():
    """The one that pressed it decides what to do; the server goes on, and workers come from it."""
    code = """
import multiprocessing, os, signal, time
from search.processes import start_fork_server
signal.signal(signal.SIGINT, lambda number, frame: None)
start_fork_server()
time.sleep(0.3)
os.killpg(0, signal.SIGINT)
worker = multiprocessing.get_context("forkserver").Process(target=print, args=("from a worker",))
worker.start()
worker.join()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, start_new_session=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "from a worker\n", "")


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
