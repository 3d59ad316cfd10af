"""What all rules share: the decision that they return, and the protocol of those that watch one run."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from search.measurement import Losses


@dataclass(frozen=True)
class Decision:
    """What a rule says after an epoch."""

    stop: bool  # whether the run should end now
    best_epoch: int | None  # with the lowest validation loss so far, from 0; None before any finite one
    reason: str | None = None  # a sentence with the numbers, where `stop` is true


class StoppingRule(Protocol):
    """A rule that watches one run, epoch by epoch, and knows nothing else.

        rule: StoppingRule = OverfitRule()
        for epoch in range(100):
            ...
            decision = rule.update(train_losses, val_losses)
            if decision.stop:
                print(decision.reason)
                break
        keep(decision.best_epoch)

    `HopelessRule` is none of these: it compares runs, so its `update` takes the number of a run and all its epochs.
    """

    def update(self, train_losses: Losses, val_losses: Losses) -> Decision:
        """Take in the next epoch of the run; call it once per epoch.

        Lower is better: arrays of shape (n,) of the same images each epoch, or a plain float for each.
        """
        ...


def mean_loss(losses: Losses) -> float:
    """Mean in float64 of a plain float or of anything that NumPy takes for an array, CPU tensors included."""
    return float(np.asarray(losses, dtype=np.float64).mean())


def check_at_least(lowest: float, **settings: float) -> None:
    """Raise ValueError, with its name and value, for a setting that is below `lowest` or NaN."""
    for name, value in settings.items():
        if not value >= lowest:
            raise ValueError(f"{name} is {value}; it must be at least {lowest}")
