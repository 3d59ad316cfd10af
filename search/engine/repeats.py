"""Seed noise: by how much a validation loss changes when the same configuration is trained with another seed.

It is measured, where the budget allows, by training the best few once or twice more after the last trial.
"""

from collections import deque
from collections.abc import Callable, Sequence

from search.choice.seed_noise import Repeat
from search.engine.workers import WorkerPool
from search.training.trial import Job, Outcome, Report

TURN_SECONDS = 0.25


def repeat_of(job: Job, outcome: Outcome) -> Repeat | None:
    """What came of one; None where nothing did."""
    if outcome.best_epoch is None:
        return None
    at_best = {name: values[outcome.best_epoch] for name, values in outcome.history.items()}
    return Repeat(job.number, job.seed, at_best["val_loss"], at_best["gap"], len(outcome.history["val_loss"]))


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
            elif isinstance(content, Outcome) and (repeat := repeat_of(job, content)) is not None:
                repeats.append(repeat)
    pool.close()
    return repeats
