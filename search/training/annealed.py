"""Training of a known length, whose learning rate falls to zero at the end.

A search cannot have that: its runs are judged at every epoch, and their length is not known (see `trainer`).
"""

from collections.abc import Mapping
from typing import Any

from search.data.tensors import DeviceData
from search.networks import Build
from search.training.precision import Precision
from search.training.trainer import Trainer

LAST = 0.2  # of the steps, over which the learning rate falls


class AnnealedTrainer(Trainer):
    """A `Trainer` for that many epochs; over the last fifth of its steps the learning rate falls to zero, linearly."""

    def __init__(
        self,
        build: Build,
        config: Mapping[str, Any],
        data: DeviceData,
        *,
        seed: int,
        precision: Precision,
        epochs: int,
    ) -> None:
        super().__init__(build, config, data, seed=seed, precision=precision)
        self._planned = epochs * self.steps

    def schedule(self, step: int) -> float:
        """The share of the learning rate at a step (from 0)."""
        return min(super().schedule(step), (self._planned - step) / (LAST * self._planned))
