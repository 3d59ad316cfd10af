"""Learning curves of all runs of a search as arrays, and how they go on: to compare a run with a thousand others.

Losses are logarithms here, so that losses near 2 and near 0.001 are alike.
"""

import math
from dataclasses import dataclass

import numpy as np

LOWEST = 1e-12  # nats: losses at or below it count as this


@dataclass(frozen=True)
class BestSoFar:
    """The best epoch of a run's first 1, 2, ... epochs; arrays of shape (epochs,). Infinite before there is any."""

    log_loss: np.ndarray  # log of the validation loss there
    gap: np.ndarray  # nats; 0 where it is negative
    epochs: np.ndarray  # which epoch it is, from 0; -1 before there is any

    @property
    def best_epoch(self) -> int | None:
        """Of the whole run; None where no epoch counts."""
        return int(self.epochs[-1]) if self.epochs[-1] >= 0 else None


def best_so_far(val_loss: np.ndarray, gap: np.ndarray, counts: np.ndarray) -> BestSoFar:
    """Of the epochs that count, by a mask of shape (epochs,)."""
    losses = np.where(counts, val_loss, np.inf)
    before = np.concatenate([[np.inf], np.minimum.accumulate(losses)[:-1]])
    epochs = np.maximum.accumulate(np.where(losses < before, np.arange(len(losses)), -1))
    found = epochs >= 0
    log_loss = np.where(found, np.log(np.maximum(losses[epochs], LOWEST)), np.inf)
    return BestSoFar(log_loss, np.where(found, np.maximum(gap[epochs], 0.0), np.inf), epochs)


def extrapolated(log_loss: np.ndarray, epochs: int, total: int, ahead: float) -> np.ndarray:
    """Log losses of shape (..., epochs), after `ahead` times as many epochs, `total` at most; shape (...).

    They go on at their pace, the slope of log loss over log epoch since half the epochs ago: a power law.
    """
    half = max(epochs // 2, 1)
    now, before = log_loss[..., epochs - 1], log_loss[..., half - 1]
    if half == epochs:
        return now
    slope = np.where(np.isfinite(before), before - now, 0.0) / math.log(epochs / half)
    return now - slope * math.log(max(min(ahead * epochs, total), epochs) / epochs)


class LearningCurves:
    """Each run's best so far by epoch, continued as a constant after its last epoch; and which runs have ended."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}  # number of a run -> its row
        self._log_loss = np.full((8, 8), np.inf)  # runs, epochs; more of both as needed
        self._gap = np.full(8, np.inf)
        self._length = np.zeros(8)  # epochs trained; infinite for a run that more epochs would not improve
        self._ended = np.zeros(8, dtype=bool)

    def put(self, number: int, run: BestSoFar) -> None:
        """Take in a run as far as it is."""
        row = self._rows.setdefault(number, len(self._rows))
        epochs = len(run.log_loss)
        self._reserve(row + 1, epochs)
        self._log_loss[row, :epochs] = run.log_loss
        self._log_loss[row, epochs:] = run.log_loss[-1]
        self._gap[row], self._length[row] = run.gap[-1], epochs

    def end(self, number: int, *, overfitted: bool) -> None:
        """A run has ended by itself. overfitted: more epochs would not have improved it."""
        row = self._rows.get(number)
        if row is None:
            return
        self._ended[row] = True
        if overfitted:
            self._length[row] = math.inf

    def forget(self, number: int) -> None:
        """A run does not count any more."""
        row = self._rows.get(number)
        if row is None:
            return
        self._log_loss[row] = self._gap[row] = np.inf
        self._ended[row] = False

    def others(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Log loss and gap at the best epoch of every run but this one."""
        log_loss, gap = self._log_loss[: len(self._rows), -1], self._gap[: len(self._rows)]
        counts = np.isfinite(log_loss)
        row = self._rows.get(number)
        if row is not None:
            counts[row] = False
        return log_loss[counts], gap[counts]

    def gains(self, epochs: int, total: int, ahead: float) -> np.ndarray:
        """By how much the log loss of the ended runs still fell below its extrapolation after `epochs`.

        Of runs that were trained for `total` epochs, or overfitted before.
        """
        log_loss, length = self._log_loss[: len(self._rows)], self._length[: len(self._rows)]
        counts = self._ended[: len(length)] & (length >= total) & np.isfinite(log_loss[:, epochs - 1])
        rows = log_loss[counts]
        return extrapolated(rows, epochs, total, ahead) - rows[:, -1]

    def longest(self) -> int:
        """The epochs of the longest run that has ended and not overfitted."""
        length = self._length[: len(self._rows)]
        return int(max(length[self._ended[: len(length)] & np.isfinite(length)], default=0))

    def _reserve(self, runs: int, epochs: int) -> None:
        """Room for so many, doubled each time."""
        have = self._log_loss.shape
        if runs <= have[0] and epochs <= have[1]:
            return
        more_runs = have[0] if runs > have[0] else 0
        more_epochs = max(have[1], epochs - have[1]) if epochs > have[1] else 0
        self._log_loss = np.pad(self._log_loss, ((0, 0), (0, more_epochs)), mode="edge")
        self._log_loss = np.pad(self._log_loss, ((0, more_runs), (0, 0)), constant_values=np.inf)
        self._gap = np.pad(self._gap, (0, more_runs), constant_values=np.inf)
        self._length = np.pad(self._length, (0, more_runs))
        self._ended = np.pad(self._ended, (0, more_runs))
