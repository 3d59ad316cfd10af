"""The rule that ends runs whose loss has exploded."""

import math

from search.measurement import Losses
from search.stopping.base import Decision, StoppingRule, mean_loss


class DivergedRule(StoppingRule):
    """Stop a run whose training or validation loss is not finite, or `factor` times that of guessing.

    Guessing among k classes costs log(k) nats; a network that is that much worse does not come back.

    >>> rule = DivergedRule(classes=10)
    >>> rule.update(2.1, 2.2)
    Decision(stop=False, best_epoch=0, reason=None)
    >>> rule.update(float("nan"), 31.0)
    Decision(stop=True, best_epoch=0, reason='training loss is nan')
    """

    def __init__(self, classes: int, *, factor: float = 10.0) -> None:
        self.ceiling = factor * math.log(max(classes, 2))  # nats
        self._epoch = -1
        self._best_epoch: int | None = None
        self._best_val = math.inf

    def update(self, train_losses: Losses, val_losses: Losses) -> Decision:
        """Take in the next epoch, as `StoppingRule` says."""
        self._epoch += 1
        train, val = mean_loss(train_losses), mean_loss(val_losses)
        if math.isfinite(train) and -math.inf < val < self._best_val:
            self._best_epoch, self._best_val = self._epoch, val
        for name, loss in (("training", train), ("validation", val)):
            if not (math.isfinite(loss) and loss <= self.ceiling):
                return Decision(True, self._best_epoch, f"{name} loss is {loss:.3g}")
        return Decision(False, self._best_epoch)
