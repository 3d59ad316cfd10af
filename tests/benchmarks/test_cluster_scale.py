"""Simulated workers: when they report, and how long they wait for a parent that computes."""

import pytest

from search.choice.constraints import Constraints
from search.stopping.stopped import Stopped
from search.training.precision import Precision
from search.training.trial import Conditions, Job, Outcome, Stop
from studies.benchmarks.cluster import scale, simulated_pool
from studies.benchmarks.cluster.simulated_pool import SimulatedPool

SECONDS = {0: 10.0, 1: 4.0}  # of an epoch, by trial
NAMES = ("train_loss", "val_loss", "gap", "train_accuracy", "val_accuracy", "val_loss_se", "gap_se", "val_rise_z")


class Clock:
    """The parent's CPU seconds."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(simulated_pool.time, "process_time", clock)
    return clock


@pytest.fixture
def pool(clock, tmp_path):
    """Two workers, each with a trial of two epochs."""
    conditions = Conditions(Constraints(9.0), Precision(), tmp_path, "study", "data")
    history = {name: [0.5, 0.5] for name in NAMES}
    pool = SimulatedPool(2, conditions, lambda job: (history, SECONDS[job.number]))
    for number, worker in enumerate(pool.idle()):
        pool.submit(worker, Job(number, {}, 0, 2, number))
    return pool


def said(pool):
    """The next message: when, by which trial, and of which epoch or how it ended."""
    [message] = pool.wait(1.0)
    content = message.content
    end = content.stopped if isinstance(content, Outcome) else len(content.history["val_loss"])
    return message.worker, (pool.now, message.job.number, end)


def test_a_parent_that_costs_nothing_keeps_nobody_waiting(pool):
    seen = []
    while pool.busy():
        worker, what = said(pool)
        seen.append(what)
        if isinstance(what[2], int) and not isinstance(what[2], Stopped):
            pool.answer(worker, None)
    assert seen == [
        (4.0, 1, 1), (8.0, 1, 2), (8.0, 1, Stopped.FINISHED), (10.0, 0, 1), (20.0, 0, 2), (20.0, 0, Stopped.FINISHED),
    ]  # fmt: skip
    assert (pool.trained, pool.busy_seconds) == (28.0, 0.0)


def test_a_worker_waits_while_the_parent_computes(pool, clock):
    worker, what = said(pool)
    assert what == (4.0, 1, 1)
    clock.now += 7.0  # until 11.0: meanwhile the other one has reported, too
    pool.answer(worker, None)
    assert said(pool)[1] == (11.0, 0, 1)
    assert pool.busy_seconds == 7.0


def test_what_comes_in_during_a_turn_waits_for_the_next(pool, clock):
    heard = []
    for message in pool.wait(1.0):
        heard.append(message.job.number)
        clock.now += 7.0
        pool.answer(message.worker, None)
    assert heard == [1]
    assert said(pool)[1] == (11.0, 0, 1)


def test_a_stopped_trial_ends_at_once(pool):
    worker, _ = said(pool)
    pool.answer(worker, Stop(Stopped.HOPELESS, "it is"))
    assert said(pool)[1] == (4.0, 1, Stopped.HOPELESS)
    assert pool.idle() == [worker]


def test_utilization_is_what_was_trained_while_jobs_were_handed_out(pool, clock):
    for _ in range(3):
        worker, what = said(pool)
        if not isinstance(what[2], Stopped):
            pool.answer(worker, None)
    clock.now += 2.0
    pool.submit(
        worker, Job(1, {}, 0, 2, 2)
    )  # at 10.0: it has trained for 8 s since both had a job, the other one for 10 s
    assert scale.row(2, pool).startswith("| 2 | 90% | ")
