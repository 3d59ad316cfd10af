"""How many workers share a GPU: decided by hand-worked cases, rehearsed with real processes on the CPU."""

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import CONFIG

from search.engine import launch, machine
from search.engine.gpu_packing import MOST, ThroughputProbe, _Watch, fitting, pack
from search.engine.runner import Runner
from search.engine.store import Store
from search.engine.workers import Message, Worker, WorkerPool
from search.settings import Settings
from search.show.dashboard import Publisher
from search.show.progress import Progress
from search.show.terminal import Terminal
from search.spaces import suggester
from search.stopping.stopped import Stopped
from search.training import trial as trials
from search.training.precision import Precision
from search.training.trial import Conditions
from studies.benchmarks.overhead import filled_study

GB = 1e9


@pytest.mark.parametrize(
    ("rates", "most", "workers"),
    [
        ({1: 100, 2: 190, 4: 350, 8: 400}, 8, 8),
        ({1: 100, 2: 190, 4: 350, 8: 380}, 8, 4),  # 9% more
        ({1: 100, 2: 109}, 8, 1),
        ({1: 100, 2: 112, 4: 123}, 8, 2),
        ({1: 100, 2: 190, 4: 380, 8: 0}, 8, 4),  # eight do not run
        ({1: 100, 2: 190, 4: 380}, 7, 4),  # no room for eight
        ({1: 100, 2: 190}, 3, 2),
        ({}, 1, 1),  # nothing to try out
        ({1: 0, 2: 0}, 8, 1),  # not even one runs: let the search tell why
    ],
)
def test_workers_are_doubled_while_that_pays(rates, most, workers):
    tried = []

    def rate(number):
        tried.append(number)
        return rates[number]

    assert pack(rate, most) == workers
    assert tried == sorted(rates)


@pytest.mark.parametrize(
    ("free", "each", "workers"),
    [(80 * GB, 10 * GB, 7), (80 * GB, 9 * GB, 8), (8 * GB, 10 * GB, 1), (8 * GB, math.inf, 1), (8 * GB, 0.0, MOST)],
)
def test_memory_bounds_the_workers(free, each, workers):
    assert fitting(free, each) == workers


def test_a_watch_counts_from_the_moment_when_all_are_warm(monkeypatch):
    clock = iter([10.0, 10.0, 10.5, 11.0, 12.0, 12.0])
    monkeypatch.setattr("search.engine.gpu_packing.time.perf_counter", lambda: next(clock))
    waited = []
    watch = _Watch(waited.append, torch.device("cpu"), 2.0)
    assert [watch() for _ in range(5)] == [False] * 5  # three to warm up, one to capture, one more: then all are there
    assert len(waited) == 1
    assert [watch(), watch(), watch()] == [False, False, True]
    assert watch.rate == 3 / 2.0


def test_a_rehearsal_runs_in_processes_of_its_own(digits):
    rehearsal = ThroughputProbe("spaces.cnn", digits, Precision(), "cpu", seconds=0.2)
    assert rehearsal.rate(CONFIG, 2) > 0
    assert 0 <= rehearsal.memory(CONFIG) < 4 * GB


def test_a_rehearsal_that_fails_counts_for_nothing(digits):
    rehearsal = ThroughputProbe("spaces.cnn", digits, Precision(), "cpu", seconds=0.2)
    impossible = CONFIG | {"width": -1}
    assert rehearsal.rate(impossible, 2) == 0
    assert rehearsal.memory(impossible) == math.inf


def test_the_decision_is_remembered_but_memory_is_looked_at_anew(digits, monkeypatch):
    free, tried = [80 * GB], []

    def rate(self, config, workers):
        tried.append(workers)
        return {1: 100, 2: 200, 4: 390, 8: 400}[workers]

    monkeypatch.setattr(machine, "free_memory", lambda device: free[0])
    monkeypatch.setattr(ThroughputProbe, "rate", rate)
    monkeypatch.setattr(ThroughputProbe, "memory", lambda self, config: 2 * GB if config["width"] == 48 else math.inf)
    monkeypatch.setattr(machine.joblib, "cpu_count", lambda: 32)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")

    def workers(devices):
        return machine.workers_per_gpu("spaces.cnn", suggester("spaces.cnn", {}), digits, Precision(), devices)

    assert workers(["cuda:0", "cuda:1"]) == 4
    assert tried == [1, 2, 4, 8]
    free[0] = 5 * GB
    assert workers(["cuda:0", "cuda:1"]) == 2
    assert tried == [1, 2, 4, 8]
    assert workers(["cuda:0"] * 32) == 1  # one core for each


@pytest.mark.parametrize(
    ("said", "memory"),
    [
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True),
        ("CUDA error: out of memory", True),
        ("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried", True),
        ("CUDA error: an illegal memory access was encountered", False),
        ("mat1 and mat2 shapes cannot be multiplied", False),
    ],
)
def test_want_of_memory_is_known_by_its_words(said, memory):
    assert trials.is_memory_error(RuntimeError(said)) is memory


class Crowded(WorkerPool):
    """Two workers share a GPU; the first trial runs out of memory once, all others end at once."""

    def __init__(self, conditions):
        self.conditions, self.workers = conditions, [Worker("cuda:0"), Worker("cuda:0")]
        self.submitted, self.failed = [], False

    def submit(self, worker, job):
        self.submitted.append((job.number, len(self.workers)))
        worker.job = job

    def wait(self, seconds):
        for worker in [worker for worker in self.workers if worker.job is not None]:
            job, worker.job = worker.job, None
            if job.number == 0 and not self.failed:
                self.failed = True
                yield Message(worker, job, trials.Outcome(0, Stopped.OUT_OF_MEMORY, "CUDA out of memory"))
            else:
                outcome = filled_study.outcome(job.number, np.random.default_rng(job.number))
                yield Message(worker, job, replace(outcome, uncaptured="it draws in Python"))

    def interrupt(self):
        pass

    def close(self):
        pass


def test_out_of_memory_lowers_the_packing_and_the_trial_is_tried_again(tmp_path, capsys):
    launch.make_folder(tmp_path)
    store = Store(filled_study.url(tmp_path), "digits", seed=0)
    settings = Settings(name="digits", dataset="digits", trials=4, epochs=filled_study.EPOCHS, out=tmp_path)
    pool = Crowded(Conditions(filled_study.CONSTRAINTS, Precision(), tmp_path))
    terminal = Terminal(Progress(4, filled_study.EPOCHS, 2), sys.stdout)
    publisher = Publisher(store.study, tmp_path, filled_study.CONSTRAINTS, filled_study.EPOCHS)
    Runner(settings, store, pool, suggester("spaces.cnn", {}), terminal, publisher, math.inf).run()
    assert len(pool.workers) == 1  # the last one stays, whatever happens
    assert not pool.retire(pool.workers[0])
    assert pool.submitted == [(0, 2), (1, 2), (0, 1), (2, 1), (3, 1)]
    said = capsys.readouterr().out
    assert "out of memory: one worker less on cuda:0" in said
    assert said.count("trained without CUDA graphs, which is slower: it draws in Python") == 1  # and not for each trial
    assert store.count() == 4
    assert store.snapshot().trials[0].stopped in (Stopped.FINISHED, Stopped.HOPELESS)


@pytest.mark.gpu
def test_a_gpu_is_shared_by_as_many_as_pay(digits):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    packed = machine.workers_per_gpu("spaces.cnn", suggester("spaces.cnn", {}), digits, Precision(), ["cuda:0"])
    assert 1 <= packed <= MOST
