"""Training the best configurations again with other seeds, after the last trial."""

from collections import deque
from collections.abc import Callable, Sequence

from search.choice.seed_noise import Repeat
from search.engine.workers import WorkerPool
from search.measurement import Measurement
from search.training.trial import Job, Outcome, Report

TURN_SECONDS = 0.25  # how long to wait for workers before asking whether to go on


def train_repeats(pool: WorkerPool, jobs: Sequence[Job], go_on: Callable[[], bool]) -> list[Repeat]:
    """Train `jobs` to their end on idle workers; those that have not ended when `go_on` says no are dropped."""
    queue, repeats = deque(jobs), []
    while (queue or any(worker.job for worker in pool.workers)) and go_on():
        for worker in pool.idle():
            if queue:
                pool.submit(worker, queue.popleft())
        for worker, job, content in pool.wait(TURN_SECONDS):
            if isinstance(content, Report):
                pool.answer(worker, None)
            elif isinstance(content, Outcome) and content.run is not None:
                repeats.append(_repeat(job, content.run.at_best, content))
    pool.close()
    return repeats


def _repeat(job: Job, at_best: Measurement, outcome: Outcome) -> Repeat:
    return Repeat(job.number, job.seed, at_best.val_loss, at_best.gap, len(outcome.history["val_loss"]))
