"""The policy that pauses every run and takes up again those that may still join the useful front."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from search.choice.choose import USEFUL
from studies.benchmarks.pruning.policies import overfit_stop
from studies.benchmarks.pruning.prediction import LOWEST, Forecast, Model
from studies.benchmarks.pruning.replay import Run
from studies.benchmarks.pruning.side_by_side import WORKERS, side_by_side

DRAWS = 256  # of all ends, for the chances


@dataclass(frozen=True)
class Paused:
    """Every run gets `first` epochs and waits. A free worker trains the most promising one for `chunk` epochs more.

    The first `whole` runs go to their end: they are the first to learn from. A run's chance is that to be on the useful
    front at its end and at least `gain` better than now. The worker takes the highest chance per epoch left. No run is
    taken up any more once the chances sum to less than `rest` of the size of that front. seconds: of each prediction.
    """

    model: Callable[[], Model]
    config: bool = True  # whether the models know the parameters
    first: int = 3
    chunk: int = 3
    whole: int = 4
    rest: float = 0.15
    gain: float = 0.01
    workers: int = WORKERS
    seconds: list[float] = field(default_factory=list, compare=False)

    def __call__(self, runs: Sequence[Run], rng: np.random.Generator) -> list[int]:
        desk = _Desk(self, runs, rng.standard_normal((DRAWS, 2, len(runs))))
        return side_by_side(desk, len(runs), self.workers)


class _Desk:
    def __init__(self, policy: Paused, runs: Sequence[Run], noise: np.ndarray) -> None:
        self._policy, self._runs, self._noise = policy, runs, noise
        self._forecast = Forecast(runs, policy.model, policy.config)
        self._ends = [overfit_stop(run, ()) for run in runs]
        self._started = 0
        self._known = np.zeros(len(runs), dtype=int)  # epochs, when a run was last paused or ended
        self._ended = np.zeros(len(runs), dtype=bool)
        self._waiting: set[int] = set()
        self._chances: tuple[np.ndarray, float] | None = None  # None: something has changed

    def take(self) -> int | None:
        if self._started < len(self._runs):
            self._started += 1
            return self._started - 1
        if not self._waiting:
            return None
        if self._chances is None:
            self._chances = self._look_ahead()
        chances, size = self._chances
        waiting = sorted(self._waiting)
        if chances[waiting].sum() < self._policy.rest * size:
            return None
        best = max(waiting, key=lambda number: chances[number] / (self._runs[number].epochs - self._known[number]))
        self._waiting.remove(best)
        return best

    def keeps(self, number: int, epochs: int) -> bool:
        policy = self._policy
        ended = epochs == self._ends[number]
        pauses = epochs >= policy.first and (epochs - policy.first) % policy.chunk == 0 and number >= policy.whole
        if ended or pauses:
            self._known[number], self._ended[number], self._chances = epochs, ended, None
        if pauses and not ended and self._runs[number].result(epochs) >= 0:
            self._waiting.add(number)
        return not (ended or pauses)

    def _look_ahead(self) -> tuple[np.ndarray, float]:
        started = time.perf_counter()
        now = np.array([run.objectives(max(epochs, 1)) for run, epochs in zip(self._runs, self._known, strict=True)])
        means, sds = self._forecast.predict(self._known, self._ended)
        found = chances(now, means + sds * self._noise, self._policy.gain)
        self._policy.seconds.append(time.perf_counter() - started)
        return found


def chances(now: np.ndarray, changes: np.ndarray, gain: float) -> tuple[np.ndarray, float]:
    """The chance of each run to be on the useful front and at least `gain` better than now; the size of that front.

    now: loss and gap, shape (runs, 2); infinite without one. changes: draws of the fall of the log loss and of the
    change of the gap, shape (draws, 2, runs). A run that falls no further keeps its best epoch and its gap.
    """
    fall = np.maximum(changes[:, 0], 0.0)
    log_loss = np.log(np.maximum(now[:, 0], LOWEST)) - fall
    gap = np.maximum(now[:, 1] + np.where(fall > 0, changes[:, 1], 0.0), 0.0)
    front = on_front(log_loss, gap)
    better = fall >= math.log1p(gain)
    return (front & better).mean(axis=0), float(front.sum(axis=1).mean())


def on_front(log_loss: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Which runs are on the useful front of each draw; shapes (draws, runs)."""
    order = np.lexsort((gap, log_loss), axis=1)
    loss, gap = (np.take_along_axis(values, order, axis=1) for values in (log_loss, gap))
    lowest = np.minimum.accumulate(gap, axis=1)
    before = np.concatenate([np.full((len(gap), 1), np.inf), lowest[:, :-1]], axis=1)
    kept = (gap < before) & (loss <= loss[:, :1] + math.log1p(USEFUL))
    found = np.zeros_like(kept)
    np.put_along_axis(found, order, kept, axis=1)
    return found
