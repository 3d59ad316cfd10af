"""A thousand workers without a machine: epochs as recorded curves say, in simulated time, under the real parent.

What the parent computes is charged to the simulated clock: workers that wait for it train nothing meanwhile.
"""

import heapq
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from search.choice.run import run_at_best
from search.measurement import History
from search.stopping.overfit import OverfitRule
from search.stopping.stopped import Stopped
from search.training.trial import Conditions, Job, Outcome, Report, Stop
from search.workers.pool import Message, Pool, Worker

Curves = Callable[[Job], tuple[History, float]]
"""What a job's curves are, and the seconds of one of its epochs."""


@dataclass(eq=False)
class SimulatedWorker(Worker):
    """history: of its whole job; epochs: of these that it has begun."""

    history: History = field(default_factory=dict)
    epochs: int = 0
    epoch_seconds: float = 0.0
    done_at: float | None = None  # the epoch that it trains, in simulated seconds
    overfit: OverfitRule = field(default_factory=OverfitRule)

    def so_far(self) -> History:
        """The curves of the epochs that it has begun: it reports when the last one is done."""
        return {name: curve[: self.epochs] for name, curve in self.history.items()}


class SimulatedPool(Pool[SimulatedWorker]):
    """As many workers as wanted; no weights are kept.

    now: simulated seconds. trained: those that workers have trained. busy_seconds: CPU time of the parent. spent: the
    same in pieces, by step: to `ask` for a job, judge a `report`, `tell` how a job ended, and the rest of a `turn`.
    """

    def __init__(self, workers: int, conditions: Conditions, curves: Curves) -> None:
        self.conditions, self._curves = conditions, curves
        self.workers = [SimulatedWorker("cpu") for _ in range(workers)]
        self.now, self.trained, self.busy_seconds = 0.0, 0.0, 0.0
        self.asked: list[tuple[float, float]] = []  # when a job was handed out, and what was trained by then
        self.spent: dict[str, list[float]] = defaultdict(list)
        self._events: list[tuple[float, int, SimulatedWorker, Report | Outcome]] = []
        self._order = itertools.count()
        self._since, self._doing = time.process_time(), "turn"

    def idle(self) -> list[SimulatedWorker]:
        """As for any pool."""
        self._charge("turn")
        return super().idle()

    def submit(self, worker: SimulatedWorker, job: Job) -> None:
        """The job begins."""
        self.spent["ask"].append(self._charge("turn"))
        self.asked.append((self.now, self.trained + sum(self._part(busy) for busy in self.busy())))
        worker.take(job)
        worker.epochs, (worker.history, worker.epoch_seconds) = 0, self._curves(job)
        worker.overfit = OverfitRule()
        self._train(worker)
        self._since = time.process_time()

    def wait(self, seconds: float) -> Iterator[Message]:
        """The next report, or those that had come in by now while the parent was busy."""
        self._charge("turn")
        if self._events:
            self.now = max(self.now, self._events[0][0])
        due = self.now  # what comes in meanwhile waits for the next turn, as in any pool
        while self._events and self._events[0][0] <= due:
            _, _, worker, content = heapq.heappop(self._events)
            self._doing = "tell"
            if isinstance(content, Report):
                self._doing, worker.done_at = "report", None
                self.trained += worker.epoch_seconds
            self._since = time.process_time()
            yield self.said(worker, content)
            self._charge("turn")

    def answer(self, worker: SimulatedWorker, stop: Stop | None) -> None:
        """Train another epoch, or end."""
        self._charge("turn")
        so_far = worker.so_far()
        losses, rise = (so_far["train_loss"][-1], so_far["val_loss"][-1]), so_far["val_rise_z"][-1]
        if stop is not None:
            self._end(worker, stop.stopped)
        elif worker.overfit.update(*losses, rise_z=rise).stop:
            self._end(worker, Stopped.OVERFIT)
        elif worker.epochs == len(worker.history["val_loss"]):
            self._end(worker, Stopped.FINISHED)
        else:
            self._train(worker)
        self._since = time.process_time()

    def end(self, worker: SimulatedWorker) -> None:
        """None is ever overdue."""

    def interrupt(self) -> None:
        """Nothing interrupts a simulation."""

    def close(self) -> None:
        """There is nothing to end."""

    def reopen(self) -> None:
        """Nothing was interrupted."""

    def _charge(self, doing: str) -> float:
        """Let the clock go on by what the parent has computed, which is returned; doing: what it begins with."""
        spent = time.process_time() - self._since
        self.now += spent
        self.busy_seconds += spent
        self.spent[self._doing].append(spent)
        self._doing, self._since = doing, time.process_time()
        return spent

    def _train(self, worker: SimulatedWorker) -> None:
        assert worker.job is not None
        worker.epochs += 1
        worker.done_at = self.now + worker.epoch_seconds
        self._push(worker.done_at, worker, Report(worker.job.number, worker.so_far()))

    def _part(self, worker: SimulatedWorker) -> float:
        """Seconds that it has trained of its present epoch."""
        return 0.0 if worker.done_at is None else min(self.now - worker.done_at, 0.0) + worker.epoch_seconds

    def _push(self, at: float, worker: SimulatedWorker, content: Report | Outcome) -> None:
        heapq.heappush(self._events, (at, next(self._order), worker, content))

    def _end(self, worker: SimulatedWorker, stopped: Stopped) -> None:
        assert worker.job is not None
        number, history = worker.job.number, worker.so_far()
        run = run_at_best(number, history, self.conditions.constraints)
        outcome = Outcome(number, stopped, run=run, history=history, seconds=worker.epochs * worker.epoch_seconds)
        self._push(self.now, worker, outcome)
