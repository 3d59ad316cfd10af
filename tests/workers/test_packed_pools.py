"""How many workers a search has, and how many of them share a GPU."""

import time

import pytest
from builders import settings

from search.engine.pools import make_pool
from search.recording.store import Store
from search.spaces import suggester
from search.workers import machine

TWO = ["cuda:0", "cuda:1"]  # of this machine


@pytest.fixture
def pool_of(digits, conditions, monkeypatch):
    """Call it with settings, for the devices of processes or what a pool on Ray is told; measured are three on each."""

    def made(**changes):
        known = settings(conditions.folder, **{"workers": None, "race": False} | changes)
        suggest, store = suggester("spaces.cnn", {}), Store(known.storage_url, known.name, seed=0)
        return make_pool(known, suggest, digits, conditions, store, TWO)

    monkeypatch.setattr(machine, "workers_per_gpu", lambda *_: 3)
    monkeypatch.setattr("search.engine.pools.WorkerPool", lambda places, *_: places)
    return made


@pytest.mark.parametrize(
    ("changes", "places"),
    [({"trials": 6}, TWO * 3), ({"trials": 3}, [*TWO, TWO[0]]), ({"trials": 2}, TWO), ({"workers": 2}, TWO)],
)
def test_processes_share_the_gpus_of_this_machine(pool_of, changes, places):
    assert pool_of(**changes) == places


def test_on_ray_it_is_said_once_that_nobody_has_a_place(monkeypatch, caplog):
    ray_pool = pytest.importorskip("search.workers.ray_pool", reason="Ray is not installed")
    pool = object.__new__(ray_pool.RayPool)
    pool.workers, pool._told, pool._began = [], False, time.monotonic()
    pool._tell_of_no_place()
    assert caplog.text == ""
    pool._began -= ray_pool.NO_PLACE_SECONDS
    for _ in range(2):
        pool._tell_of_no_place()
    assert caplog.text.count("no worker has a place on the Ray cluster yet") == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"trials": 20, "ray": "auto"}, (20, "cuda", 3)),
        ({"trials": 20, "ray": "auto", "workers": 5}, (5, "cuda", 1)),
        ({"trials": 20, "ray": "local"}, (6, "cuda", 3)),
    ],
)
def test_on_ray_they_share_as_many_as_measured_here(pool_of, changes, told, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed")
    monkeypatch.setattr("search.workers.ray_pool.RayPool", lambda *told: told[:3])
    assert pool_of(**changes) == told
