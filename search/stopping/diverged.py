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

import math

from search.stopping.base import Decision, Losses, _mean


class DivergedRule:
    """Stop a run whose training or validation loss is not finite, or `factor` times that of guessing.

    Guessing among k classes costs log(k) nats; a network that is that much worse does not come back.
    """

    def __init__(self, classes: int, *, factor: float = 10.0) -> None:
        self.ceiling = factor * math.log(max(classes, 2))
        self._epoch = -1
        self._best_epoch: int | None = None
        self._best_val = math.inf

    def update(self, train_losses: Losses, val_losses: Losses) -> Decision:
        """Take one epoch's losses, as `OverfitRule` does."""
        self._epoch += 1
        train, val = _mean(train_losses), _mean(val_losses)
        if math.isfinite(train) and -math.inf < val < self._best_val:
            self._best_epoch, self._best_val = self._epoch, val
        for name, loss in (("training", train), ("validation", val)):
            if not (math.isfinite(loss) and loss <= self.ceiling):
                return Decision(True, self._best_epoch, f"{name} loss is {loss:.3g}")
        return Decision(False, self._best_epoch)
