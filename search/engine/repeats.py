"""Training the best configurations again with other seeds, after the last trial."""

from collections import Counter, deque
from collections.abc import Callable, Sequence

from search.choice.seed_noise import Repeat
from search.engine.workers import WorkerPool
from search.measurement import Measurement
from search.training.trial import Job, Outcome, Report

TURN_SECONDS = 0.25  # how long to wait for workers before asking whether to go on
MOST_DEATHS = 3  # of workers, on one job, which is dropped then


def train_repeats(pool: WorkerPool, jobs: Sequence[Job], hang_after: float, go_on: Callable[[], bool]) -> list[Repeat]:
    """Train `jobs` to their end on idle workers; those that have not ended when `go_on` says no are dropped.

    A job whose worker died is trained again, from its start.
    """
    queue, repeats, deaths = deque(jobs), list[Repeat](), Counter[int]()
    while (queue or any(worker.job for worker in pool.workers)) and go_on():
        for worker in pool.idle():
            if queue:
                pool.submit(worker, queue.popleft())
        pool.end_silent(hang_after)
        for worker, job, content in pool.wait(TURN_SECONDS):
            if isinstance(content, Report):
                pool.answer(worker, None)
            elif isinstance(content, Outcome):
                if content.run is not None:
                    repeats.append(_repeat(job, content.run.at_best, content))
            else:
                deaths[job.seed] += 1
                if deaths[job.seed] < MOST_DEATHS:
                    queue.append(job)
    pool.close()
    return repeats


def _repeat(job: Job, at_best: Measurement, outcome: Outcome) -> Repeat:
    return Repeat(job.number, job.seed, at_best.val_loss, at_best.gap, len(outcome.history["val_loss"]))
