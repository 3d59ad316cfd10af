"""Trainings of the race that lose their worker or their memory."""

from types import SimpleNamespace

import pytest

from search.finals.repeats import MOST_LOSSES, train_repeats
from search.stopping.stopped import Stopped
from search.training.trial import Job, Notice, Outcome
from search.workers.pool import Lost


class ScriptedPool:
    """Two workers; what comes of each job is told by its number, one after the other."""

    def __init__(self, script):
        self.script, self.submitted = {number: list(ends) for number, ends in script.items()}, []
        self.workers = [SimpleNamespace(job=None) for _ in range(2)]

    def idle(self):
        return [worker for worker in self.workers if worker.job is None]

    def busy(self):
        return [worker for worker in self.workers if worker.job is not None]

    def submit(self, worker, job):
        self.submitted.append((job.number, len(self.busy())))
        worker.job = job

    def end_silent(self, hang_after):
        return []

    def wait(self, seconds):
        for worker in self.busy():
            job, end = worker.job, self.script[worker.job.number].pop(0)
            if isinstance(end, Notice):
                yield worker, job, end
                continue
            worker.job = None
            yield worker, job, Lost("has died") if end == "lost" else Outcome(job.number, end)


def trained(script, notice=print):
    """The pool, and how each job ended."""
    pool, ends = ScriptedPool(script), {}
    jobs = [Job(number, {}, seed=1, epochs=1, lineage=number, repeat=1) for number in script]
    terminal = SimpleNamespace(**dict.fromkeys(("started", "dropped", "epoch"), lambda *_: None), notice=notice)

    def ended(repeat, outcome):
        ends[repeat.trial] = outcome.stopped

    train_repeats(pool, jobs, 60.0, lambda: True, ended, terminal)
    return pool, ends


def test_out_of_memory_is_tried_again_with_nothing_beside_it():
    memory, error = Stopped.OUT_OF_MEMORY, Stopped.ERROR
    pool, ends = trained({1: [memory, error], 2: [error], 3: [error], 4: [memory, error]})
    assert ends == dict.fromkeys((1, 2, 3, 4), error)
    assert [number for number, _ in pool.submitted[:4]] == [1, 2, 3, 4]
    assert pool.submitted[4:] == [(1, 0), (4, 0)]


@pytest.mark.parametrize("end", ["lost", Stopped.OUT_OF_MEMORY])
def test_what_happens_again_and_again_is_told_as_no_fault_of_the_configuration(end):
    assert trained({1: [end] * MOST_LOSSES})[1] == {1: Stopped.OUT_OF_MEMORY}


def test_what_a_worker_says_is_passed_on():
    said = []
    assert trained({1: [Notice(1, "no space left"), Stopped.ERROR]}, said.append)[1] == {1: Stopped.ERROR}
    assert said == ["no space left"]
