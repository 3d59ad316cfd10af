"""The pools that a search may have, as tests make them and look into them."""

import os
import time

import pytest

from search.engine.workers import WorkerPool
from search.training.trial import Report


def make_pool(kind, wanted, space, data, conditions):
    """kind: `processes` or `ray`."""
    if kind == "processes":
        return WorkerPool(["cpu"] * wanted, space, data, conditions)
    from search.engine.ray_pool import RayPool

    return RayPool(wanted, "cpu", space, data, conditions)


def idle_worker(pool, seconds=60.0):
    """A worker that may be given a job; an actor takes seconds to start."""
    deadline = time.monotonic() + seconds
    while not pool.idle() and time.monotonic() < deadline:
        assert list(pool.wait(0.1)) == []
    return pool.idle()[0]


def process_of(worker):
    """The number of a worker's process, which has been started."""
    if hasattr(worker, "process"):
        return worker.process.pid
    import ray

    return ray.get(worker.actor.__ray_call__.options(concurrency_group="answers").remote(lambda actor: os.getpid()))


def heard(pool, answer=None, seconds=60.0):
    """What workers say until one has no job any more; each report is answered like this."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for worker, _, content in pool.wait(0.1):
            yield content
            if not isinstance(content, Report):
                return
            pool.answer(worker, answer)
    pytest.fail(f"nobody was heard for {seconds:g} s")
