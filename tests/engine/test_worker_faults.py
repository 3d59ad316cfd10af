"""Workers that die, hang, or outlive the search."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from builders import CONFIG

from search.engine.repeats import train_repeats
from search.engine.workers import Lost, WorkerPool
from search.show.progress import Progress
from search.show.terminal import Terminal
from search.training.trial import Job, Outcome, Report

KILLED = Lost("was killed (SIGKILL), perhaps for want of memory")
SMALL = CONFIG | {"batch_size": 200}


def job(number=0, epochs=3):
    return Job(number, SMALL, seed=number, epochs=epochs, lineage=number, repeat=1)


def heard(pool, seconds=30.0):
    """What workers say until one has no job any more."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for worker, _, content in pool.wait(0.1):
            yield worker, content
            if not isinstance(content, Report):
                return
            pool.answer(worker, None)


@pytest.fixture
def pool(digits, conditions):
    pool = WorkerPool(["cpu"], "spaces.cnn", digits, conditions)
    yield pool
    pool.close()


def started(pool):
    """The pool's worker, amid a long job."""
    worker = pool.workers[0]
    pool.submit(worker, job(epochs=10_000))
    next(pool.wait(60.0))
    return worker


def test_a_worker_that_died_while_its_report_was_judged_is_told_of(pool):
    worker = started(pool)
    worker.process.kill()
    worker.process.join()
    pool.answer(worker, None)  # a broken pipe is no error here
    assert [content for _, content in heard(pool)] == [KILLED]
    assert pool.idle() == [worker]


def test_a_worker_that_died_while_idle_is_told_of_with_its_next_job(pool):
    worker = pool.workers[0]
    pool.submit(worker, job(epochs=1))
    assert isinstance([content for _, content in heard(pool)][-1], Outcome)
    worker.process.kill()
    worker.process.join()
    pool.submit(worker, job())
    assert [content for _, content in heard(pool)] == [KILLED]
    pool.submit(worker, job())  # another one has taken its place
    assert isinstance([content for _, content in heard(pool)][-1], Outcome)


def test_a_worker_that_is_stopped_is_ended_once_its_report_is_overdue(pool):
    worker = started(pool)
    os.kill(worker.process.pid, signal.SIGSTOP)
    worker.longest = 0.01
    assert pool.end_silent(hang_after=60.0) == []
    time.sleep(0.3)
    assert pool.end_silent(hang_after=0.25) == [worker]
    assert pool.end_silent(hang_after=0.25) == []  # once
    assert [content for _, content in heard(pool)] == [KILLED]


def test_a_report_is_due_within_twenty_of_the_longest_epochs(pool):
    worker = started(pool)
    worker.longest = 10.0
    worker.heard_at = time.monotonic() - 150
    assert pool.end_silent(hang_after=1.0) == []
    worker.heard_at = time.monotonic() - 250
    assert pool.end_silent(hang_after=1.0) == [worker]


def test_repeats_outlive_the_death_of_a_worker(pool):
    killed = []

    def go_on():
        process = pool.workers[0].process
        if process is not None and not killed:
            killed.append(process.pid)
            process.kill()
        return True

    repeats, terminal = [], Terminal(Progress(2, 3, 1))

    def ended(repeat, outcome):
        repeats.append(repeat)

    train_repeats(pool, [job(1), job(2)], hang_after=60.0, go_on=go_on, ended=ended, terminal=terminal)
    assert sorted(repeat.trial for repeat in repeats) == [1, 2]
    assert not any(repeat.failed for repeat in repeats)


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
