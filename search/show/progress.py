"""Where a search stands: counted from what workers tell, shown by `search.show.terminal`."""

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from search.choice.pareto import front
from search.choice.race import FIRST_UNSEEN
from search.choice.run import Run
from search.insight.imbalance import balanced_accuracy
from search.measurement import History
from search.results.trial_result import TrialResult
from search.show.text import duration
from search.stopping.stopped import Stopped

LAST = 4  # ended trials that are at hand


@dataclass
class Running:
    """A trial in training. repeat: above 0 where it is trained again; which fresh seed it has then."""

    number: int
    repeat: int = 0
    planned: int = 0  # epochs
    history: History = field(default_factory=dict)  # empty before its first epoch

    @property
    def epochs(self) -> int:
        """Epochs trained and measured."""
        return len(self.history.get("val_loss", ()))

    @property
    def name(self) -> str:
        """What it is called while it runs."""
        return f"trial {self.number}" + (f", {seed_name(self.repeat)}" if self.repeat else "")


class Observer(Protocol):
    """Told of trials as `Progress` is; not of their repeats."""

    def epoch(self, number: int, history: History) -> None:
        """A running trial has measured another epoch. history: its curves from its first epoch on."""

    def dropped(self, number: int) -> None:
        """A running trial is queued again, under another number."""

    def ended(self, trial: TrialResult) -> None:
        """A trial has ended."""


class Progress:
    """Trials done, running and missing.

    planned: trials of all starts. epochs: of a whole run. done, runs: trials that earlier starts have ended, and the
    COMPLETE ones' runs. further: trials that take finished ones further, which `planned` does not count. race_share:
    what the race at the end costs, of the time of all trials; 0 for none. most_seconds: that this start may take.
    clock: seconds that only grow. observers: told too.
    """

    def __init__(
        self,
        planned: int,
        epochs: int,
        workers: int,
        *,
        done: int = 0,
        further: int = 0,
        runs: Sequence[Run] = (),
        race_share: float = 0.0,
        most_seconds: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.planned = max(planned, done)  # fewer may be asked for than earlier starts have ended
        self.epochs, self._workers = epochs, workers
        self.done = done  # over all starts
        self.running: dict[tuple[int, int], Running] = {}  # by number and repeat
        self.last: deque[TrialResult] = deque(maxlen=LAST)  # that ended at this start, in that order
        self._observers = observers
        self._further = further  # still to end
        self._stopped: Counter[str] = Counter()  # trials of this start, by what ended them
        self._epochs_saved = 0  # at this start
        self.front: list[Run] = front(runs)  # so far, by validation loss
        self._race_share, self._most_seconds = race_share, most_seconds
        self._clock = clock
        self._began = clock()
        self._missing_before = self._missing()

    def started(self, number: int, repeat: int = 0, epochs: int | None = None) -> None:
        """A trial was handed to a worker, for so many epochs, or as many as a whole run has."""
        self.running[number, repeat] = Running(number, repeat, epochs or self.epochs)

    def epoch(self, number: int, history: History, repeat: int = 0) -> None:
        """A running trial has measured another epoch."""
        self.running.setdefault((number, repeat), Running(number, repeat, self.epochs)).history = history
        for observer in self._observers if not repeat else ():
            observer.epoch(number, history)

    def end(self, trial: TrialResult) -> None:
        """A trial has ended."""
        self.running.pop((trial.number, 0), None)
        for observer in self._observers:
            observer.ended(trial)
        self.last.append(trial)
        self._stopped[trial.ending] += 1
        if trial.continues is not None:
            self._further -= 1
        elif trial.ended:
            self.done += 1
        if trial.stopped is not None and trial.stopped.saves:
            self._epochs_saved += self.epochs - trial.epochs_run
        if trial.complete and trial.run is not None:
            self.front = front([*(run for run in self.front if run.number != trial.continues), trial.run])

    def drop(self, number: int, repeat: int = 0) -> None:
        """A running trial is queued again, or a repeat has ended."""
        self.running.pop((number, repeat), None)
        for observer in self._observers if not repeat else ():
            observer.dropped(number)

    @property
    def best(self) -> Run | None:
        """The feasible run of lowest validation loss."""
        return self.front[0] if self.front else None

    def seconds_left(self) -> float | None:
        """By the pace of this start, race included; None before there is one, and when no trial is missing."""
        missing = self._missing()
        ended = self._missing_before - missing
        if ended < self._workers or missing <= 0:
            return None
        trial = self.seconds_gone() / ended
        left = trial * (missing + self._race_share * self.planned)
        return max(min(left, self._most_seconds - self.seconds_gone()), 0.0)

    def _missing(self) -> int:
        """Trials still to end, those that take finished ones further included."""
        return max(self.planned - self.done, 0) + self._further

    def seconds_gone(self) -> float:
        """Since this start began."""
        return self._clock() - self._began

    def summary(self) -> str:
        """`best 0.2919 (gap 0.1377); 3 overfit: 81 epochs saved; 44s left`: as much of it as is known."""
        best, left = self.best, self.seconds_left()
        parts = [
            "" if best is None else f"best {best.at_best.val_loss:.4f} (gap {best.at_best.gap:.4f})",
            self.stops(),
            "" if left is None else f"{duration(left)} left",
        ]
        return "; ".join(part for part in parts if part)

    def stops(self) -> str:
        """`3 overfit, 5 hopeless: 81 epochs saved`, of this start, or nothing."""
        counts = [f"{count} {ending}" for ending, count in self._stopped.most_common() if ending != Stopped.FINISHED]
        saved = f": {self._epochs_saved} epochs saved" if self._epochs_saved else ""
        return f"{', '.join(counts)}{saved}"


def seed_name(index: int) -> str:
    """The fresh seed with that index: `seed 2`, `unseen seed 1`."""
    return f"seed {index}" if index < FIRST_UNSEEN else f"unseen seed {index - FIRST_UNSEEN + 1}"


def describe(trial: TrialResult) -> str:
    """An ended trial in half a line."""
    head = f"trial {trial.number:3d}"
    origin = "" if trial.continues is None else f" (trial {trial.continues} went on)"
    if trial.run is None:
        return f"{head}  {trial.ending}: {trial.reason}{origin}"
    at_best = trial.run.at_best
    return (
        f"{head}  val_loss {at_best.val_loss:.4f}  gap {at_best.gap:7.4f}  accuracy {at_best.val_accuracy:.1%}"
        f"{balanced_accuracy(at_best.val_balanced_accuracy)}  "
        f"epoch {trial.run.best_epoch + 1:2d} of {trial.epochs_run:2d}  {trial.ending:8s}{origin}"
    )
