"""Workers that die, hang, or outlive the search."""

import contextlib
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
from builders import CONFIG
from pools import heard, spoken

from search.stopping.stopped import Stopped
from search.training.trial import Job, Outcome, Report
from search.workers.pool import Lost, giving_signs, guarded, is_broken
from search.workers.process_pool import WorkerPool

SMALL = CONFIG | {"batch_size": 200}


def job(number=0, epochs=3):
    return Job(number, SMALL, seed=number, epochs=epochs, lineage=number, repeat=1)


@pytest.fixture
def pool(digits, conditions):
    pool = WorkerPool(["cpu"], "spaces.cnn", digits, conditions)
    yield pool
    pool.close()


def started(pool):
    """The pool's worker, amid a long job."""
    worker = pool.workers[0]
    pool.submit(worker, job(epochs=10_000))
    next(spoken(pool))
    return worker


def test_it_is_told_how_a_worker_died(pool):
    worker = started(pool)
    worker.process.kill()
    worker.process.join()
    pool.answer(worker, None)  # a broken pipe is no error here
    assert list(heard(pool)) == [Lost("was killed (SIGKILL), perhaps for want of memory")]
    assert pool.idle() == [worker]


def test_a_sign_of_life_is_given_once_in_a_while(monkeypatch):
    now, signs = [10.0], []
    monkeypatch.setattr("search.workers.pool.time.monotonic", lambda: now[0])
    asked = giving_signs(lambda: now[0] == 17.0, lambda: signs.append(now[0]))
    answers = [asked() for now[0] in (10.0, 11.9, 12.0, 13.5, 13.9, 17.0, 18.9, 19.0)]
    assert signs == [12.0, 17.0, 19.0]
    assert answers == [now == 17.0 for now in (10.0, 11.9, 12.0, 13.5, 13.9, 17.0, 18.9, 19.0)]


SLOW = """
import time
from torch import nn
from spaces.cnn import suggest

class Slow(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.head = nn.Linear(64, classes)

    def forward(self, images):
        time.sleep(0.5 if len(images) > 1 else 9.0)
        return self.head(images.flatten(1))

def build(config, *, channels, image_size, classes):
    return Slow(classes)
"""


def test_in_a_long_epoch_a_worker_is_not_silent_but_in_a_batch_that_hangs(digits, conditions, tmp_path):
    """Eight batches of 0.5 s and four of them to measure, without a report; then batches of one image."""
    (tmp_path / "slow.py").write_text(SLOW)
    pool = WorkerPool(["cpu"], str(tmp_path / "slow.py"), digits, conditions)
    try:
        for batch_size, ended in ((50, False), (1, True)):
            pool.submit(pool.workers[0], replace(job(epochs=1), config=SMALL | {"batch_size": batch_size}))
            silent = []
            while pool.busy():
                silent += pool.end_silent(hang_after=4.0)
                for worker, _, content in pool.wait(0.1):
                    if isinstance(content, Report):
                        pool.answer(worker, None)
            assert bool(silent) == ended
    finally:
        pool.close()


LOOP = """
import sys, time
from pathlib import Path
from search import Search
Path("loop.py").write_text('''
import multiprocessing
from spaces.cnn import suggest
from spaces import cnn
def build(config, **shape):
    while multiprocessing.parent_process() is not None and multiprocessing.current_process().name != 'corners':
        pass
    return cnn.build(config, **shape)
''')
Search(name="loop", dataset="digits", space="loop.py", trials=1, workers=1, train_size=100, val_size=50).run()
"""


def test_workers_in_an_endless_loop_end_with_their_parent(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", LOOP], cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not busy_children(process.pid):
            time.sleep(0.2)
        children = psutil.Process(process.pid).children(recursive=True)
        assert busy_children(process.pid)
    finally:
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive


def busy_children(pid):
    """Grandchildren, that is workers, which have computed for a second; none while a process is ending."""
    with contextlib.suppress(psutil.Error):
        server = [child for child in psutil.Process(pid).children() if "forkserver" in " ".join(child.cmdline())]
        return [child for one in server for child in one.children() if child.cpu_times().user > 1.0]
    return []


def test_while_the_search_itself_was_away_nobody_was_silent(pool, monkeypatch):
    """It was stopped by Ctrl-Z, or waited for its database: the report lies in the pipe."""
    worker = started(pool)
    pool.answer(worker, None)
    assert pool.end_silent(hang_after=60.0) == []
    later = time.monotonic() + 3600
    monkeypatch.setattr("search.workers.pool.time.monotonic", lambda: later)
    assert pool.end_silent(hang_after=60.0) == []
    later += 19
    assert pool.end_silent(hang_after=10.0) == [worker]  # it has been silent since


@pytest.mark.parametrize("error", [EOFError(), BlockingIOError(11, "Resource temporarily unavailable")])
def test_a_worker_that_cannot_be_started_is_a_lost_one(pool, monkeypatch, error):
    def start(process):
        raise error

    monkeypatch.setattr("multiprocessing.context.ForkServerProcess.start", start)
    pool.submit(pool.workers[0], job())
    assert list(heard(pool)) == [Lost("could not be started, or is out of reach")]
    pool.submit(pool.workers[0], job())
    pool.close()
    assert pool.busy() == []


def test_after_a_fault_on_its_gpu_a_worker_ends():
    def run():
        raise RuntimeError("CUDA error: device-side assert triggered")

    assert is_broken(guarded(run, 3))
    assert not is_broken(guarded(lambda: 1 / 0, 3))
    assert not is_broken(Outcome(3, Stopped.OUT_OF_MEMORY, "CUDA error: out of memory"))
