"""What the terminal shows while a search runs: a line for each trial that ends."""

import sys
import time
from collections import Counter
from typing import Any, TextIO

from search import trial as trials
from search.selection import Run
from search.trial import History, Outcome


class Progress:
    """Plain lines on a stream. `planned` counts the trials over all starts, `done` those of earlier ones."""

    def __init__(self, planned: int, epochs: int, workers: int, done: int = 0, stream: TextIO | None = None) -> None:
        self._planned, self._epochs, self._workers = planned, epochs, workers
        self._done = self._done_before = done
        self._stream = stream or sys.stdout
        self._began = time.monotonic()
        self._best: Run | None = None
        self._stopped: Counter[str] = Counter()
        self._saved = 0

    def note(self, text: str) -> None:
        """A line of its own."""
        print(text, file=self._stream, flush=True)

    def resume(self, runs: list[Run]) -> None:
        """Take in what earlier starts found."""
        for run in runs:
            self._consider(run)

    def started(self, number: int, config: dict[str, Any]) -> None:
        """A trial was handed to a worker."""

    def epoch(self, number: int, history: History) -> None:
        """A running trial has measured another epoch."""

    def ended(self, outcome: Outcome, run: Run | None) -> None:
        """A trial has ended; `run` is given where it counts as a result."""
        if outcome.stopped != trials.CANCELLED:
            self._done += 1
        self._stopped[outcome.stopped] += 1
        if outcome.history:
            self._saved += self._epochs - len(outcome.history["val_loss"])
        if run is not None:
            self._consider(run)
        self.note(f"[{self._done:{len(str(self._planned))}}/{self._planned}] {describe(outcome)}{self._overall()}")

    def tick(self) -> None:
        """Called a few times a second."""

    def _consider(self, run: Run) -> None:
        if run.feasible and (self._best is None or run.val_loss < self._best.val_loss):
            self._best = run

    def _overall(self) -> str:
        parts = []
        if self._best is not None:
            parts.append(f"best {self._best.val_loss:.4f} (gap {self._best.gap:.4f})")
        stopped = [f"{count} {reason}" for reason, count in self._stopped.items() if reason != trials.FINISHED]
        if stopped:
            parts.append(f"{', '.join(stopped)}: {self._saved} epochs saved")
        left = self._seconds_left()
        if left is not None:
            parts.append(f"{duration(left)} left")
        return "  |  " + "; ".join(parts) if parts else ""

    def _seconds_left(self) -> float | None:
        """By the pace of this start; None before there is one, and at the end."""
        ended, missing = self._done - self._done_before, self._planned - self._done
        if ended < self._workers or missing <= 0:
            return None
        return (time.monotonic() - self._began) / ended * missing


def describe(outcome: Outcome) -> str:
    """A trial in half a line."""
    head = f"trial {outcome.number:3d}"
    if outcome.best_epoch is None:
        return f"{head}  {outcome.stopped}: {outcome.reason}"
    history, best = outcome.history, outcome.best_epoch
    text = (
        f"{head}  val_loss {history['val_loss'][best]:.4f}  gap {history['gap'][best]:7.4f}  "
        f"accuracy {history['val_accuracy'][best]:.1%}  epoch {best + 1:2d} of {len(history['val_loss']):2d}"
    )
    return f"{text}  {outcome.stopped:8s}"


def duration(seconds: float) -> str:
    """`75` -> `1m15s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
