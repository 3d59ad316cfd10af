"""From finished runs to one choice: best epoch, feasibility, front, and what noise cannot tell apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """What a run must respect to be chosen: the linear baseline's loss, and a ceiling for the gap if any."""

    baseline_loss: float
    max_gap: float | None = None

    def violations(self, val_loss: float, gap: float) -> dict[str, float]:
        """By how much each term is missed; met at 0 and below. The same keys for every run of a study."""
        violations = {"baseline": val_loss / self.baseline_loss - 1}
        if self.max_gap is not None:
            violations["max_gap"] = gap - self.max_gap
        return violations

    def respected(self, val_loss: float, gap: float) -> bool:
        """Whether an epoch with these figures may be chosen."""
        return all(violation <= 0 for violation in self.violations(val_loss, gap).values())


def best_epoch(val_loss: Sequence[float], gap: Sequence[float], terms: Terms) -> int | None:
    """The epoch (from 0) of lowest validation loss, among those that respect `terms` where any does."""
    finite = [epoch for epoch, loss in enumerate(val_loss) if math.isfinite(loss) and math.isfinite(gap[epoch])]
    respecting = [epoch for epoch in finite if terms.respected(val_loss[epoch], gap[epoch])]
    return min(respecting or finite, key=lambda epoch: val_loss[epoch], default=None)
