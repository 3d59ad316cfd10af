"""Seed noise: by how much a validation loss changes when the same configuration is trained with another seed.

It is measured, where the budget allows, by training the best few once or twice more after the last trial.
"""

import math
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from search.selection import Run, candidates
from search.trial import Job, Outcome, Report
from search.workers import WorkerPool

TOP = 3  # configurations that are repeated
ROUNDS = 2  # repeats of each, if both are affordable
SHARE = 0.15  # of the epochs trained so far, which the repeats may cost
TURN_SECONDS = 0.25


@dataclass(frozen=True)
class Repeat:
    """What a trial's configuration came to with another seed: its lowest val_loss within the epochs to its best one."""

    trial: int
    seed: int
    val_loss: float
    gap: float
    epochs: int


def plan_repeats(runs: Sequence[Run], done: Sequence[Repeat], epochs_trained: int) -> list[Run]:
    """The runs to train again, best first; each appears once for each repeat that it still lacks.

    A round repeats each of the best `TOP` feasible runs, to its best epoch. It is done where all repeats together
    cost at most `SHARE` of `epochs_trained`; fewer than one full round would say too little.
    """
    top = candidates(runs)[:TOP]
    if len(top) < TOP:
        return []
    budget = SHARE * epochs_trained - sum(repeat.epochs for repeat in done)
    had: dict[int, int] = defaultdict(int)
    for repeat in done:
        had[repeat.trial] += 1
    planned: list[Run] = []
    for number in range(ROUNDS):
        missing = [run for run in top if had[run.number] <= number]
        budget -= sum(run.best_epoch + 1 for run in missing)
        if budget < 0:
            break
        planned += missing
    return planned


def seed_error(runs: Sequence[Run], repeats: Sequence[Repeat]) -> float | None:
    """Standard deviation of `val_loss` (nats) over seeds, pooled over the repeated configurations; None without any.

    Pooled: the sums of squares about each configuration's mean, by their degrees of freedom. The run that was repeated
    is counted too; as it was picked for its low loss, the figure errs upwards a little.
    """
    losses = {run.number: [run.val_loss] for run in runs}
    for repeat in repeats:
        if repeat.trial in losses and math.isfinite(repeat.val_loss):
            losses[repeat.trial].append(repeat.val_loss)
    groups = [values for values in losses.values() if len(values) > 1]
    freedom = sum(len(values) - 1 for values in groups)
    if not freedom:
        return None
    return math.sqrt(sum(_squares(values) for values in groups) / freedom)


def _squares(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)


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


def as_repeats(stored: Sequence[Mapping[str, float]]) -> list[Repeat]:
    """From the study's attribute."""
    return [Repeat(**one) for one in stored]  # type: ignore[arg-type]
