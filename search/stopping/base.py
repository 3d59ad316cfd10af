"""When a run should stop: small rules, numbers in, decision out.

A rule knows nothing of training, files or Optuna, so it serves in anybody's loop:

    rule = OverfitRule()
    for epoch in range(100):
        ...
        decision = rule.update(train_losses, val_losses)   # per-image arrays, or two plain floats
        if decision.stop:
            print(decision.reason)
            break
    keep(decision.best_epoch)
"""

from dataclasses import dataclass

import numpy as np

Losses = float | np.ndarray


@dataclass(frozen=True)
class Decision:
    """What a rule says after an epoch.

    stop: whether the run should end now.
    best_epoch: the epoch with the lowest validation loss so far, from 0; None before any finite one.
    reason: a sentence with the numbers, where `stop` is true.
    """

    stop: bool
    best_epoch: int | None
    reason: str | None = None


def _mean(losses: Losses) -> float:
    """In float64, of anything that NumPy takes for an array, CPU tensors included."""
    return float(np.asarray(losses, dtype=np.float64).mean())
