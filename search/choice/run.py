"""From finished runs to one choice: best epoch, feasibility, front, and what noise cannot tell apart."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """One run at its best epoch. Losses and gap in nats; the gap is signed; best_epoch counts from 0."""

    number: int
    val_loss: float
    gap: float
    val_loss_se: float
    gap_se: float
    train_loss: float
    train_accuracy: float
    val_accuracy: float
    accuracy_gap: float
    parameters: int
    best_epoch: int
    epochs_run: int
    stopped: str
    fit: str
    feasible: bool

    @property
    def objectives(self) -> tuple[float, float]:
        """What Optuna minimizes: validation loss, and the gap where it is positive."""
        return self.val_loss, max(self.gap, 0.0)
