"""The workers of a search: how many, where, and of which kind."""

import logging
from typing import Any

import joblib

from search import start_weights
from search.choice.race import Race
from search.data.tensors import SearchData
from search.errors import UserError
from search.recording.longer import queue_longer
from search.recording.store import Store
from search.settings import MOST_WORKERS, Settings
from search.show.text import plural
from search.spaces import Suggest, keep, load_space
from search.training.checkpoint_store import CheckpointStore
from search.training.trial import Conditions
from search.workers import machine
from search.workers.pool import Pool
from search.workers.process_pool import WorkerPool, place_workers
from search.workers.ray_cluster import LOCAL

logger = logging.getLogger(__name__)


def make_pool(
    settings: Settings,
    suggest: Suggest,
    data: SearchData,
    conditions: Conditions,
    store: Store,
    devices: list[str],
) -> Pool[Any]:
    """Workers for the trials that are missing and for those that go on; interrupted ones are queued again."""
    interrupted, done = store.requeue_interrupted(), store.count()
    missing = max(settings.trials - done, 0)
    longer = queue_longer(store, conditions, settings.epochs)
    jobs = missing + longer
    most = max(jobs, Race.most if settings.race else 1)
    packed = 1
    if settings.workers is None and devices[0].startswith("cuda") and jobs > len(devices):
        packed = machine.workers_per_gpu(settings.space, suggest, data, conditions.precision, devices)
    places = _places(settings, devices, packed, jobs)
    before = f"; {done} done before" if done else ""
    further = f" and {plural(longer, 'finished one')}" if longer else ""
    again = f"; {interrupted} interrupted ones queued again" if interrupted else ""
    on_ray = "Ray, " if settings.ray else ""
    logger.info(
        f"{plural(missing, 'trial')}{further} of at most {plural(settings.epochs, 'epoch')} "
        f"on {plural(len(places), 'worker')} ({on_ray}{', '.join(dict.fromkeys(places))}; {conditions.precision})"
        f"{before}{again}"
    )
    start_weights.keep(settings.weights, settings.folder)
    space = keep(settings.space, settings.folder)
    try:
        load_space(space)  # as workers will
    except UserError as error:
        raise UserError(
            f"the space {settings.space} cannot be run from its copy: {error}; have it read no other file"
        ) from error
    if settings.ray is None:
        return WorkerPool(places[:most], space, data, conditions)
    from search.workers.ray_pool import RayPool

    return RayPool(len(places[:most]), places[0].partition(":")[0], packed, space, data, conditions)


def checkpoint_store(settings: Settings, store: Store) -> CheckpointStore | None:
    """Where running trials leave their checkpoints, if not in the run folder. Raises UserError where it is no place."""
    if settings.checkpoints is None:
        return None
    found = CheckpointStore(settings.checkpoints, store.identity)
    found.check()
    return found


def _places(settings: Settings, devices: list[str], packed: int, jobs: int) -> list[str]:
    """The device of each worker; on Ray each sees one device alone, of the kind that this machine has."""
    if settings.ray is not None and settings.ray != LOCAL:
        return [devices[0].partition(":")[0]] * (settings.workers or max(1, min(jobs, MOST_WORKERS)))
    return place_workers(settings.workers, devices, joblib.cpu_count(), packed=packed)
