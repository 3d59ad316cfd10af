"""Training configurations again with other seeds, after the last trial."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from search.choice.seed_noise import Repeat, failed_repeat, repeat_of
from search.measurement import Measurement
from search.show.terminal import Terminal
from search.stopping.stopped import Stopped
from search.training.trial import Job, Notice, Outcome, Report
from search.workers.pool import Lost, Pool

TURN_SECONDS = 0.25  # how long to wait for workers before asking whether to go on
MOST_LOSSES = 3  # of workers or of memory, by one job, which has failed then

Ended = Callable[[Repeat, Outcome], None]  # told of each training that has ended


def train_repeats(
    pool: Pool[Any],
    jobs: Sequence[Job],
    hang_after: float,
    go_on: Callable[[], bool],
    ended: Ended,
    terminal: Terminal,
) -> None:
    """Train `jobs` to their end on idle workers; those that have not ended when `go_on` says no are dropped.

    A job whose worker died is trained again, from its start; one that ran out of memory once nothing else runs. Where
    that has happened too often `ended` is told of a failure by `Stopped.OUT_OF_MEMORY`, which need not be the job's.
    """
    queue, alone, losses = deque(jobs), deque[Job](), Counter[tuple[int, int]]()
    while (queue or alone or pool.busy()) and go_on():
        for worker in pool.idle():
            if queue or (alone and not pool.busy()):
                job = (queue or alone).popleft()
                pool.submit(worker, job)
                terminal.started(job.number, job.repeat, job.epochs)
        pool.end_silent(hang_after)
        for worker, job, content in pool.wait(TURN_SECONDS):
            if isinstance(content, Report):
                terminal.epoch(job.number, content.history, job.repeat)
                pool.answer(worker, None)
            elif isinstance(content, Notice):
                terminal.notice(content.text)
            elif isinstance(content, Lost | Outcome):
                terminal.dropped(job.number, job.repeat)
                if isinstance(content, Lost) or content.stopped == Stopped.OUT_OF_MEMORY:
                    if not (isinstance(content, Lost) and content.with_machine):
                        losses[job.number, job.repeat] += 1
                    if losses[job.number, job.repeat] < MOST_LOSSES:
                        (queue if isinstance(content, Lost) else alone).append(job)
                        continue
                    content = Outcome(job.number, Stopped.OUT_OF_MEMORY)
                ended(_repeat(job, content), content)
    if pool.busy():
        pool.close()


def _repeat(job: Job, outcome: Outcome) -> Repeat:
    """What came of it, at its last epoch."""
    if outcome.stopped != Stopped.FINISHED:
        return failed_repeat(job.number, job.repeat, job.seed, job.epochs)
    return repeat_of(job.number, job.repeat, job.seed, Measurement.at(outcome.history, -1), job.epochs)
