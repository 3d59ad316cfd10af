"""What a run must respect to be chosen."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Constraints:
    """A network must beat the linear baseline, and keep to the ceiling for the gap if there is one."""

    baseline_loss: float  # validation loss of softmax regression on the pixels, in nats
    max_gap: float | None = None  # ceiling for the gap, in nats

    def violations(self, val_loss: float, gap: float) -> dict[str, float]:
        """By how much each constraint is missed; met at 0 and below. The same keys for every run of a study."""
        violations = {"baseline": val_loss / self.baseline_loss - 1}
        if self.max_gap is not None:
            violations["max_gap"] = gap - self.max_gap
        return violations

    def met(self, val_loss: float, gap: float) -> bool:
        """Whether an epoch with these figures may be chosen."""
        return all(violation <= 0 for violation in self.violations(val_loss, gap).values())
