"""The pools that a search may have, as tests make them and look into them."""

import os
import time

import pytest

from search.training.trial import Notice, Report
from search.workers.process_pool import WorkerPool


def make_pool(kind, wanted, space, data, conditions, device="cpu", packed=1):
    """kind: `processes` or `ray`. packed: workers that share a GPU; of processes here, all do."""
    if kind == "processes":
        return WorkerPool([device] * wanted, space, data, conditions)
    from search.workers.ray_pool import RayPool

    return RayPool(wanted, device, packed, space, data, conditions)


def idle_workers(pool, count=1, seconds=60.0):
    """Workers that may be given a job; an actor takes seconds to start."""
    deadline = time.monotonic() + seconds
    while len(pool.idle()) < count and time.monotonic() < deadline:
        assert list(pool.wait(0.1)) == []
    return pool.idle()[:count]


def process_of(worker):
    """The number of a worker's process, which has been started."""
    if hasattr(worker, "process"):
        return worker.process.pid
    import ray

    return ray.get(worker.actor.__ray_call__.options(concurrency_group="answers").remote(lambda actor: os.getpid()))


def spoken(pool, seconds=60.0):
    """What workers say, signs of life aside; no report is answered."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for message in pool.wait(0.1):
            yield message.content
    pytest.fail(f"nobody spoke for {seconds:g} s")


def heard(pool, answer=None, seconds=60.0):
    """What workers say until one has no job any more; each report is answered like this."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for worker, _, content in pool.wait(0.1):
            yield content
            if isinstance(content, Report):
                pool.answer(worker, answer)
            elif not isinstance(content, Notice):
                return
    pytest.fail(f"nobody was heard for {seconds:g} s")
