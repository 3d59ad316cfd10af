"""How many workers share a GPU: decided by hand-worked cases, rehearsed with real processes on the CPU."""

import math

import pytest
import torch
from builders import CONFIG

from search.training.precision import Precision
from search.workers.gpu_packing import MOST, ThroughputProbe, _Watch, fitting, pack

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
        ({1: 0}, 8, 0),  # not even one runs: let the search tell why
        ({}, 0, 1),  # more GPUs than cores
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
    monkeypatch.setattr("search.workers.gpu_packing.time.perf_counter", lambda: next(clock))
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
