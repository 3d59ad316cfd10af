"""The memory of a search's process, and how that of a worker grows from trial to trial."""

from pathlib import Path

import numpy as np
import optuna
import psutil

from search.data import datasets
from search.data.tensors import prepare
from search.engine import launch
from search.training.precision import Precision
from search.training.trial import Conditions, Job, Report
from search.workers.process_pool import WorkerPool
from spaces import cnn
from studies.benchmarks.overhead.filled_study import CONSTRAINTS


def own_bytes(pid: int | None = None) -> int:
    """Bytes of memory that a process shares with no other; without `pid`, of this process."""
    return int(psutil.Process(pid).memory_full_info().uss)


def worker_growth(folder: Path, trials: int) -> float:
    """Bytes by which a real worker's own memory grows for each trial that it trains: digits, one epoch each."""
    launch.make_folder(folder)
    source = datasets.load("digits", "train", Path("data"))
    data = prepare(source, train_size=200, val_size=100, seed=0, flip=False)
    pool = WorkerPool(["cpu"], "spaces.cnn", data, Conditions(CONSTRAINTS, Precision(), folder, "study", "data"))
    drawing = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    sizes = []
    (worker,) = pool.workers
    for number in range(trials):
        config = cnn.suggest(drawing.ask()) | {"width": 8 + number % 8}
        pool.submit(worker, Job(number, config, number, 1, number))
        while worker.job is not None:
            for _, _, content in pool.wait(1.0):
                if isinstance(content, Report):
                    pool.answer(worker, None)
        assert worker.process is not None
        sizes.append(own_bytes(worker.process.pid))
    pool.close()
    half = trials // 2  # after the first half the allocator has what it needs
    return float(np.polyfit(np.arange(half), sizes[-half:], 1)[0])
