"""The rule that ends runs that have begun to overfit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from search.measurement import Losses, paired_z
from search.stopping.base import Decision, StoppingRule, check_at_least, mean_loss

RECENT = 10  # epochs that the noise of a curve is measured on, at most
FEWEST = 6  # epochs that it takes: the first ones bend more than they scatter
NORMAL_MEDIAN = 0.6745  # of absolute values, in standard deviations


@dataclass
class OverfitState:
    """What the rule has seen of a run: the keys of its `state_dict`."""

    epoch: int = -1  # the last one, from 0
    best_epoch: int | None = None  # from 0; None before any finite validation loss
    best_train: float = math.inf  # mean training loss at the best epoch
    best_val: float = math.inf  # mean validation loss there
    best_losses: Losses = math.inf  # validation losses there as they were given: shape (n,), or () of a plain float
    largest_since_best: float = 0.0  # largest rise of validation loss above its best, since the best epoch
    largest_recovered: float = 0.0  # the same of earlier ones that a new best ended; fades with the epochs
    material_epochs: int = 0  # with a material rise, in a row, the last one included
    recent: tuple[float, ...] = ()  # the last `RECENT` finite means of the validation losses


class OverfitRule(StoppingRule):
    """Stop once validation loss has risen from its best while training loss went on falling.

    It fires when all of these hold, v and t being the validation and training loss now, v* and t* those
    of the best epoch:

    - material: v > (1 + material) v*;
    - image noise: weak evidence must last. With k epochs of a material rise in a row, the present one included,
      k is at least `patience`, and the paired z of the per-image differences (now - best epoch, same images), times
      sqrt(k / patience), is above z. So few images need longer, not for ever;
    - own scatter: v - v* is more than `scatter` times the largest rise that this run has had before and
      recovered from, by reaching a new best after n' epochs; after n epochs it counts n'/n as much, for the
      first epochs of a run are its wildest;
    - t < t*: what was learned since is the training set.

    Plain floats hide image noise. With them the noise of the curve stands for both kinds of noise: k counts only
    rises of more than z times the `curve_noise` of the last ten epochs, and is at least twice the patience. While that
    noise is not known, for the first five epochs, it does not fire, unless z is 0. Give plain floats of raw weights,
    which jump from epoch to epoch by more than image noise; per-image losses of averaged ones.

    The first condition is Prechelt's GL ("Early Stopping - But When?", 1998); the others tell overfitting
    from noise, from a rate of learning that is too high, and from annealing.

    No rule sees a learning rate that is still to drop. Such a run takes `last_drop`, the epoch (from 0) of the last
    drop that is planned; of a cosine, three quarters of its epochs. A rise in an earlier epoch counts in k only if it
    is larger than t too: then v* is out of reach even if the training loss drops to 0, unless the gap shrinks.

    >>> rule = OverfitRule(patience=1)
    >>> train, val = [1.1, 0.9, 0.7, 0.5, 0.4, 0.2], [1.2, 1.0, 0.9, 0.8, 0.9, 1.0]  # loss, epoch by epoch
    >>> [rule.update(*losses).stop for losses in zip(train, val)]
    [False, False, False, False, False, True]
    >>> decision = rule.update(0.1, 1.0)
    >>> decision.best_epoch
    3
    >>> decision.reason
    'validation loss 25% above its best of epoch 4, while training loss still fell from 0.5 to 0.1'
    """

    def __init__(
        self,
        *,
        material: float = 0.015,
        z: float = 2.5,
        scatter: float = 1.5,
        patience: int = 2,
        last_drop: int = 0,
    ) -> None:
        check_at_least(0, material=material, z=z, scatter=scatter, last_drop=last_drop)
        check_at_least(1, patience=patience)
        self.material, self.z, self.scatter, self.patience = material, z, scatter, patience
        self.last_drop = last_drop
        self._seen = OverfitState()

    def update(self, train_losses: Losses, val_losses: Losses, *, rise_z: float | None = None) -> Decision:
        """Take in the next epoch, as `StoppingRule` says.

        rise_z: for plain floats, the paired z of this epoch's validation losses against those of the best epoch
        so far, where it has been measured elsewhere: so recorded curves decide as the losses themselves did.
        An epoch with a loss that is NaN or infinite neither stops the run nor becomes its best.
        """
        seen = self._seen
        seen.epoch += 1
        seen.largest_recovered *= seen.epoch / (seen.epoch + 1)
        train, val = mean_loss(train_losses), mean_loss(val_losses)
        if not (math.isfinite(train) and math.isfinite(val)):
            return Decision(False, seen.best_epoch)
        seen.recent = (*seen.recent, val)[-RECENT:]
        if val < seen.best_val:
            self._new_best(train, val, val_losses)
            return Decision(False, seen.best_epoch)
        rise = val - seen.best_val
        seen.largest_since_best = max(seen.largest_since_best, rise)
        z = paired_z(val_losses, seen.best_losses) if rise_z is None or math.isnan(rise_z) else rise_z
        seen.material_epochs = seen.material_epochs + 1 if self._counts(rise, train, z) else 0
        if train >= seen.best_train or not self._beyond_noise(rise, z):
            return Decision(False, seen.best_epoch)
        return Decision(True, seen.best_epoch, self._reason(train, rise, z))

    def state_dict(self) -> dict[str, Any]:
        """What has been seen so far, for a rule with the same settings: the fields of `OverfitState` by name.

        The values are floats, integers, NumPy arrays and None.
        """
        return {field.name: getattr(self._seen, field.name) for field in fields(OverfitState)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict()`. Raises ValueError, naming it, for a key that is missing or unknown."""
        expected = {field.name for field in fields(OverfitState)}
        for what, names in (("lacks", expected - set(state)), ("has the unknown", set(state) - expected)):
            if names:
                raise ValueError(f"the state of an OverfitRule {what} {', '.join(sorted(names))}")
        self._seen = OverfitState(**state)

    def _new_best(self, train: float, val: float, val_losses: Losses) -> None:
        seen = self._seen
        seen.largest_recovered = max(seen.largest_recovered, seen.largest_since_best)
        seen.largest_since_best = 0.0
        seen.material_epochs = 0
        seen.best_epoch, seen.best_train, seen.best_val = seen.epoch, train, val
        seen.best_losses = np.array(val_losses, dtype=np.float64)  # a copy: the caller may reuse the array

    def _counts(self, rise: float, train: float, z: float) -> bool:
        """Whether this epoch is one of the k with a material rise; NaN: z is not known."""
        seen = self._seen
        noise = self.z * curve_noise(seen.recent) if math.isnan(z) else 0.0
        left = train if seen.epoch < self.last_drop else 0.0  # to be learned, by lower rates
        return rise > max(self.material * abs(seen.best_val), noise, left)

    def _beyond_noise(self, rise: float, z: float) -> bool:
        """Whether the rise has lasted, long enough for its z, and is above the own scatter; NaN: z is not known."""
        lasted = self._seen.material_epochs
        if math.isnan(z):
            known = len(self._seen.recent) >= FEWEST or self.z == 0
            return lasted >= 2 * self.patience and known
        significant = z * math.sqrt(lasted / self.patience) > self.z
        return lasted >= self.patience and significant and rise > self.scatter * self._seen.largest_recovered

    def _reason(self, train: float, rise: float, z: float) -> str:
        seen = self._seen
        assert seen.best_epoch is not None
        noise = "" if math.isnan(z) else f", paired z = {z:.1f}"
        risen = f"{rise / abs(seen.best_val):.0%}" if seen.best_val else f"{rise:.3g}"
        return (
            f"validation loss {risen} above its best of epoch {seen.best_epoch + 1}{noise}, "
            f"while training loss still fell from {seen.best_train:.3g} to {train:.3g}"
        )


def curve_noise(losses: Sequence[float]) -> float:
    """Standard deviation of the noise of a curve from epoch to epoch; 0, not known, for fewer than six epochs.

    The distance of an epoch from the mean of its two neighbours has 1.5 times the variance of the noise, whatever the
    slope of the curve. The median of the distances is that of a normal distribution, so that one jump does not count.
    """
    if len(losses) < FEWEST:
        return 0.0
    values = np.asarray(losses, dtype=np.float64)
    distances = np.abs(values[1:-1] - (values[:-2] + values[2:]) / 2)
    return float(np.median(distances)) / (NORMAL_MEDIAN * math.sqrt(1.5))
