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
from collections.abc import Mapping
from typing import Any

import numpy as np

from search.stopping.base import Decision, Losses, _mean


class OverfitRule:
    """Stop once validation loss has risen from its best while training loss went on falling.

    It fires when all of these hold, v and t being the validation and training loss now, v* and t* those
    of the best epoch:

    - material: v > (1 + material) v*;
    - image noise: weak evidence must last. With k epochs of a material rise in a row, the present one included,
      k is at least `patience`, and the paired z of the per-image differences (now - best epoch, same images), times
      sqrt(k / patience), is above z. So few images need longer, not for ever. With plain floats, where image noise
      cannot be measured, k is at least twice the patience;
    - own scatter: v - v* is more than `scatter` times the largest rise that this run has had before and
      recovered from, by reaching a new best after n' epochs; after n epochs it counts n'/n as much, for the
      first epochs of a run are its wildest;
    - t < t*: what was learned since is the training set.

    The first condition is Prechelt's GL ("Early Stopping - But When?", 1998); the others tell overfitting
    from noise, from a rate of learning that is too high, and from annealing.

    total_epochs is accepted for rules that look ahead; this one needs no knowledge of the plan.
    """

    def __init__(
        self,
        *,
        material: float = 0.015,
        z: float = 2.5,
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
        self._largest_recovered *= self._epoch / (self._epoch + 1)
        train, val = _mean(train_losses), _mean(val_losses)
        if not (math.isfinite(train) and math.isfinite(val)):
            return Decision(False, self._best_epoch)
        if val < self._best_val:
            self._new_best(train, val, val_losses)
            return Decision(False, self._best_epoch)
        rise = val - self._best_val
        self._largest_since_best = max(self._largest_since_best, rise)
        self._held = self._held + 1 if rise > self.material * abs(self._best_val) else 0
        z = _rise_z(val_losses, self._best_losses) if rise_z is None or math.isnan(rise_z) else rise_z
        if not self._beyond_noise(z) or train >= self._best_train or rise <= self.scatter * self._largest_recovered:
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

    def _beyond_noise(self, z: float | None) -> bool:
        """Whether the rise has lasted, and long enough for its z."""
        if z is None:
            return self._held >= 2 * self.patience
        return self._held >= self.patience and z * math.sqrt(self._held / self.patience) > self.z

    def _reason(self, train: float, rise: float, z: float | None) -> str:
        assert self._best_epoch is not None
        noise = "" if z is None else f", paired z = {z:.1f}"
        risen = f"{rise / abs(self._best_val):.0%}" if self._best_val else f"{rise:.3g}"
        return (
            f"validation loss {risen} above its best of epoch {self._best_epoch + 1}{noise}, "
            f"while training loss still fell from {self._best_train:.3g} to {train:.3g}"
        )


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
