"""The curves of all runs of a search as arrays, so that comparing one run with a thousand others is quick."""

import math
from dataclasses import dataclass

import numpy as np

LOWEST = 1e-12  # nats: losses at or below it count as this


@dataclass(frozen=True)
class Worth:
    """What a run is worth by each epoch: log of its best loss so far, and the gap at that loss, shape (epochs,).

    epochs: where that best was, from 0; -1, with infinite log loss and gap, before there is any.
    """

    log_loss: np.ndarray
    gap: np.ndarray
    epochs: np.ndarray

    @property
    def best_epoch(self) -> int | None:
        """None where no epoch counts."""
        return int(self.epochs[-1]) if self.epochs[-1] >= 0 else None


def worth(val_loss: np.ndarray, gap: np.ndarray, counts: np.ndarray) -> Worth:
    """Of the epochs that count, by a mask of shape (epochs,)."""
    losses = np.where(counts, val_loss, np.inf)
    before = np.concatenate([[np.inf], np.minimum.accumulate(losses)[:-1]])
    epochs = np.maximum.accumulate(np.where(losses < before, np.arange(len(losses)), -1))
    found = epochs >= 0
    log_loss = np.where(found, np.log(np.maximum(losses[epochs], LOWEST)), np.inf)
    return Worth(log_loss, np.where(found, np.maximum(gap[epochs], 0.0), np.inf), epochs)


class Field:
    """Each run's worth by each epoch, carried on unchanged after its last one; and which runs have ended."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}
        self._log_loss = np.full((8, 8), np.inf)  # runs, epochs; more of both as needed
        self._gap = np.full(8, np.inf)
        self._length = np.zeros(8)  # epochs trained; infinite for a run that more epochs would not improve
        self._ended = np.zeros(8, dtype=bool)

    def put(self, number: int, run: Worth) -> None:
        """Take in a run as far as it is."""
        row = self._rows.setdefault(number, len(self._rows))
        epochs = len(run.log_loss)
        self._reserve(row + 1, epochs)
        self._log_loss[row, :epochs] = run.log_loss
        self._log_loss[row, epochs:] = run.log_loss[-1]
        self._gap[row], self._length[row] = run.gap[-1], epochs

    def end(self, number: int, *, settled: bool) -> None:
        """A run has ended by itself. settled: more epochs would not have improved it."""
        if (row := self._rows.get(number)) is not None:
            self._ended[row] = True
            if settled:
                self._length[row] = math.inf

    def forget(self, number: int) -> None:
        """A run does not count any more."""
        if (row := self._rows.get(number)) is not None:
            self._log_loss[row] = self._gap[row] = np.inf
            self._ended[row] = False

    def results(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Log loss and gap at the best epoch of every run but this one."""
        others = np.isfinite(self._log_loss[: len(self._rows), -1])
        if (row := self._rows.get(number)) is not None:
            others[row] = False
        return self._log_loss[: len(others), -1][others], self._gap[: len(others)][others]

    def gains(self, epochs: int, total: int | None, ahead: float) -> np.ndarray:
        """By how much the log loss of the ended runs still fell below where their pace after `epochs` led them.

        Of runs that were trained for `total` epochs (None: for as many as any) or settled before.
        """
        length = self._length[: len(self._rows)]
        total = self.longest() if total is None else total
        counts = self._ended[: len(length)] & (length >= total)
        rows = self._log_loss[: len(length)][counts & np.isfinite(self._log_loss[: len(length), epochs - 1])]
        return paced(rows, epochs, total, ahead) - rows[:, -1]

    def longest(self) -> int:
        """The epochs of the longest run that has ended and is not settled."""
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


def paced(log_loss: np.ndarray, epochs: int, total: int, ahead: float) -> np.ndarray:
    """Log losses (..., epochs) after `ahead` times as many epochs, `total` at most, if they go on at their pace.

    The pace is the slope of log loss over log epoch, since half the epochs ago: a power law.
    """
    half = max(epochs // 2, 1)
    now, before = log_loss[..., epochs - 1], log_loss[..., half - 1]
    if half == epochs:
        return now
    slope = np.where(np.isfinite(before), before - now, 0.0) / math.log(epochs / half)
    return now - slope * math.log(max(min(ahead * epochs, total), epochs) / epochs)
