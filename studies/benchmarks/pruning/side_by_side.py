"""Replay a search of several workers: they train runs epoch by epoch, side by side, and may pause them.

A desk hands out the runs and says after each epoch whether the worker keeps its run. Every epoch takes as long.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from search.stopping.hopeless import Curve, HopelessRule
from studies.benchmarks.pruning.policies import Settings, overfit_stop
from studies.benchmarks.pruning.replay import Run

WORKERS = 4


class Desk(Protocol):
    """Hands out the runs of a search, by their numbers."""

    def take(self) -> int | None:
        """A run for a free worker; None: there is none now."""

    def keeps(self, number: int, epochs: int) -> bool:
        """Told of every epoch of a run: whether its worker goes on with it."""


def side_by_side(desk: Desk, runs: int, workers: int) -> list[int]:
    """Train until no worker has a run; the number of epochs that each run got."""
    given = [0] * runs
    at: list[int | None] = [None] * workers
    while True:
        at = [desk.take() if number is None else number for number in at]
        if all(number is None for number in at):
            return given
        for worker, number in enumerate(at):
            if number is not None:
                given[number] += 1
                if not desk.keeps(number, given[number]):
                    at[worker] = None


@dataclass(frozen=True)
class SideBySide:
    """The rules of this search with several workers. again: a run that was stopped waits, and is judged again.

    It is taken up before any new run starts, once it is not hopeless any more.
    """

    hopeless: Settings = ()
    again: bool = False
    workers: int = WORKERS

    def __call__(self, runs: Sequence[Run], rng: np.random.Generator) -> list[int]:
        return side_by_side(_Rules(runs, self), len(runs), self.workers)


class _Rules:
    """As in a trial, the overfitting rule decides before the hopeless rule."""

    def __init__(self, runs: Sequence[Run], policy: SideBySide) -> None:
        self._runs, self._again = runs, policy.again
        self._rule = HopelessRule(total_epochs=max(run.epochs for run in runs), **dict(policy.hopeless))
        self._started = 0
        self._waiting: dict[int, Curve] = {}

    def take(self) -> int | None:
        for number, curve in self._waiting.items():
            if not self._rule.update(number, curve).stop:
                del self._waiting[number]
                return number
        if self._started == len(self._runs):
            return None
        self._started += 1
        return self._started - 1

    def keeps(self, number: int, epochs: int) -> bool:
        run = self._runs[number]
        end = overfit_stop(run, ())
        curve = Curve(run.val_loss[:epochs], run.gap[:epochs], run.val_loss_se[:epochs])
        hopeless = self._rule.update(number, curve).stop
        if epochs == end:
            self._rule.end(number, overfitted=end < run.epochs)
            return False
        if hopeless and self._again:
            self._waiting[number] = curve
        return not hopeless
