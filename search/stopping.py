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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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


class OverfitRule:
    """Stop once validation loss has risen from its best while training loss went on falling.

    It fires when all of these hold, v and t being the validation and training loss now, v* and t* those
    of the best epoch:

    - material: v > (1 + material) v*;
    - image noise: the mean of the per-image differences (now - best epoch, same images) is more than z of
      its standard errors above 0 (only with per-image losses);
    - own scatter: v - v* is more than `scatter` times the largest rise that this run has had before and
      recovered from, by reaching a new best;
    - t < t*: what was learned since is the training set;
    - the first two have held for `patience` epochs in a row, the present one included (twice as many
      with plain floats, where image noise cannot be measured).

    The first condition is Prechelt's GL ("Early Stopping - But When?", 1998); the others tell overfitting
    from noise, from a rate of learning that is too high, and from annealing.

    total_epochs is accepted for rules that look ahead; this one needs no knowledge of the plan.
    """

    def __init__(
        self,
        *,
        material: float = 0.02,
        z: float = 3.0,
        scatter: float = 1.5,
        patience: int = 2,
        total_epochs: int | None = None,
    ) -> None:
        for name, value, lowest in (("material", material, 0), ("z", z, 0), ("scatter", scatter, 0)):
            if not value >= lowest:
                raise ValueError(f"{name} is {value}; it must be at least {lowest}")
        if patience < 1:
            raise ValueError(f"patience is {patience}; it must be at least 1")
        self.material, self.z, self.scatter, self.patience = material, z, scatter, patience
        self._epoch = -1
        self._best_epoch: int | None = None
        self._best_train = self._best_val = math.inf
        self._best_losses: Losses = math.inf
        self._largest_since_best = 0.0  # rise above the best
        self._largest_recovered = 0.0
        self._held = 0

    def update(self, train_losses: Losses, val_losses: Losses, *, rise_z: float | None = None) -> Decision:
        """Take one epoch's losses, lower is better: arrays of shape (n,) of the same images each epoch, or floats.

        rise_z: for plain floats, the paired z of this epoch's validation losses against those of the best epoch
        so far, where it has been measured elsewhere: so recorded curves decide as the losses themselves did.
        An epoch with a loss that is NaN or infinite neither stops the run nor becomes its best.
        """
        self._epoch += 1
        train, val = _mean(train_losses), _mean(val_losses)
        if not (math.isfinite(train) and math.isfinite(val)):
            return Decision(False, self._best_epoch)
        if val < self._best_val:
            self._new_best(train, val, val_losses)
            return Decision(False, self._best_epoch)
        rise = val - self._best_val
        self._largest_since_best = max(self._largest_since_best, rise)
        z = _rise_z(val_losses, self._best_losses) if rise_z is None else rise_z
        if rise <= self.material * abs(self._best_val) or (z is not None and z <= self.z):
            self._held = 0
            return Decision(False, self._best_epoch)
        self._held += 1
        needed = self.patience if z is not None else 2 * self.patience
        if self._held < needed or train >= self._best_train or rise <= self.scatter * self._largest_recovered:
            return Decision(False, self._best_epoch)
        return Decision(True, self._best_epoch, self._reason(train, rise, z))

    def state_dict(self) -> dict[str, Any]:
        """What has been seen so far, for `load_state_dict` of a rule with the same settings."""
        return {name: value for name, value in vars(self).items() if name.startswith("_")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict()`."""
        vars(self).update(state)

    def _new_best(self, train: float, val: float, val_losses: Losses) -> None:
        self._largest_recovered = max(self._largest_recovered, self._largest_since_best)
        self._largest_since_best = 0.0
        self._held = 0
        self._best_epoch, self._best_train, self._best_val = self._epoch, train, val
        self._best_losses = np.array(val_losses, dtype=np.float64)

    def _reason(self, train: float, rise: float, z: float | None) -> str:
        assert self._best_epoch is not None
        noise = "" if z is None else f", paired z = {z:.1f}"
        risen = f"{rise / abs(self._best_val):.0%}" if self._best_val else f"{rise:.3g}"
        return (
            f"validation loss {risen} above its best of epoch {self._best_epoch + 1}{noise}, "
            f"while training loss still fell from {self._best_train:.3g} to {train:.3g}"
        )


def _mean(losses: Losses) -> float:
    """In float64, of anything that NumPy takes for an array, CPU tensors included."""
    return float(np.asarray(losses, dtype=np.float64).mean())


def _rise_z(now: Losses, best: Losses) -> float | None:
    """z of the paired per-image differences; None where there are no per-image losses."""
    now, best = np.asarray(now, dtype=np.float64), np.asarray(best, dtype=np.float64)
    if now.ndim == 0 or now.shape != best.shape or len(now) < 2:
        return None
    difference = now - best
    error = float(difference.std(ddof=1)) / math.sqrt(len(difference))
    if error == 0:
        return math.copysign(math.inf, difference.mean()) if difference.mean() else 0.0
    return float(difference.mean()) / error


@dataclass(frozen=True)
class Curve:
    """A run so far, one entry for each epoch: clean validation loss, gap, and the loss's standard error."""

    val_loss: Sequence[float] | np.ndarray
    gap: Sequence[float] | np.ndarray
    val_loss_se: Sequence[float] | np.ndarray


class HopelessRule:
    """Stop a run that cannot reach the useful front any more, judged against other runs at the same epoch.

    After e epochs (e = 1, 2, ...) a run is hopeless when its best validation loss so far exceeds the best
    that any other run had after e epochs by more than both

    - a margin that shrinks as curves settle, from `start` to `end` of that best loss:
      end + (start - end) * exp(-(e - 1) / decay), and
    - z standard errors of the difference.

    With `max_gap`, epochs above that ceiling count for nothing: each run is worth its best epoch within
    the ceiling and is compared with runs that have one; a run that has none yet is compared by its loss alone
    with runs that have none either.
    Nothing is decided before `first_epoch` epochs, nor with fewer than `peers` runs to compare with.
    """

    def __init__(
        self,
        *,
        max_gap: float | None = None,
        start: float = 0.20,
        end: float = 0.02,
        decay: float = 6.0,
        z: float = 2.0,
        first_epoch: int = 2,
        peers: int = 4,
    ) -> None:
        if not start >= end >= 0:
            raise ValueError(f"start is {start} and end {end}; needed: start >= end >= 0")
        for name, value in (("decay", decay), ("first_epoch", first_epoch), ("peers", peers)):
            if not value > 0:
                raise ValueError(f"{name} is {value}; it must be above 0")
        if not z >= 0:
            raise ValueError(f"z is {z}; it must be at least 0")
        self.max_gap = max_gap
        self.start, self.end, self.decay, self.z = start, end, decay, z
        self.first_epoch, self.peers = first_epoch, peers

    def update(self, run: Curve, others: Sequence[Curve]) -> Decision:
        """Judge `run` at its present epoch against `others`, finished or not, that have come as far."""
        epochs = len(run.val_loss)
        own, epoch, within = self._worth(run, epochs)
        worths = [self._worth(other, epochs) for other in others if len(other.val_loss) >= epochs]
        peers = [loss for loss, _, theirs in worths if math.isfinite(loss) and theirs == within]
        if epoch is None or epochs < self.first_epoch or len(peers) < self.peers:
            return Decision(False, epoch)
        best = min(peers)
        margin = self.end + (self.start - self.end) * math.exp(-(epochs - 1) / self.decay)
        noise = self.z * math.sqrt(2) * run.val_loss_se[epoch]
        if own - best <= max(margin * abs(best), noise):
            return Decision(False, epoch)
        return Decision(
            True,
            epoch,
            f"best validation loss {own:.3g} after {epochs} epochs; another run had {best:.3g} by then, "
            f"and {margin:.0%} is what a run still makes up",
        )

    def _worth(self, curve: Curve, epochs: int) -> tuple[float, int | None, bool]:
        """Lowest loss of the first epochs, within the ceiling where any is; its epoch; whether it is within."""
        losses = np.asarray(curve.val_loss[:epochs], dtype=np.float64)
        losses = np.where(np.isfinite(losses), losses, np.inf)
        within = False
        if self.max_gap is not None:
            respecting = np.isfinite(losses) & (np.asarray(curve.gap[:epochs], dtype=np.float64) <= self.max_gap)
            within = bool(respecting.any())
            losses = np.where(respecting, losses, np.inf) if within else losses
        if not np.isfinite(losses).any():
            return math.inf, None, within
        epoch = int(losses.argmin())
        return float(losses[epoch]), epoch, within


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
