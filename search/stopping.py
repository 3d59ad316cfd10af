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

from search.field import Field, Worth, paced, worth

Losses = float | np.ndarray
TIE = 1e-9  # relative: less is rounding

# Why a trial ended, by rule or otherwise: its attribute `stopped`.
FINISHED, OVERFIT, HOPELESS, DIVERGED = "finished", "overfit", "hopeless", "diverged"
OUT_OF_MEMORY, CANCELLED, INTERRUPTED, ERROR = "out_of_memory", "cancelled", "interrupted", "error"


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

    After e epochs a run's best loss so far is carried on in three steps, all in logarithms, so that losses near 2
    and near 0.001 are alike:

    - its own pace: a power law of the epoch, with the slope since epoch e/2, up to epoch `ahead` * e and to the
      planned end at most;
    - the others' experience: what the runs that have ended still gained from there, on average. So it holds whatever
      the schedule of the learning rate is;
    - the benefit of the doubt: z standard deviations of that gain, times sqrt(1 + 1/n) n / (n - 1), for n ended runs
      are no certain knowledge.

    It is hopeless where even that is

    - above the best loss of all other runs by more than `useful` of it, and by more than `noise` standard errors of
      the difference, or
    - above the loss of another run, by more than `noise` standard errors of the difference, whose gap is no larger
      than this run's is now: as training goes on, gaps grow.

    With `max_gap`, epochs above that ceiling count for nothing: a run is worth its best epoch within the ceiling, and
    is compared with runs that have one. A run that has none yet is carried on by its loss alone, which flatters it.

    Nothing is decided before `first_epoch` epochs, nor with fewer than `peers` ended runs: trained for `total_epochs`
    (None: for as long as the longest), or overfitted. No run waits for another.
    """

    def __init__(
        self,
        *,
        max_gap: float | None = None,
        total_epochs: int | None = None,
        useful: float = 0.10,
        z: float = 0.9,
        noise: float = 1.0,
        ahead: float = 1.5,
        first_epoch: int = 2,
        peers: int = 4,
    ) -> None:
        for name, value, lowest in (
            ("useful", useful, 0),
            ("z", z, 0),
            ("noise", noise, 0),
            ("ahead", ahead, 1),
            ("first_epoch", first_epoch, 1),
            ("peers", peers, 2),
        ):
            if not value >= lowest:
                raise ValueError(f"{name} is {value}; it must be at least {lowest}")
        self.max_gap, self.total_epochs = max_gap, total_epochs
        self.useful, self.z, self.noise, self.ahead = useful, z, noise, ahead
        self.first_epoch, self.peers = first_epoch, peers
        self._all, self._within = Field(), Field()  # every epoch counts; those within the ceiling do

    def update(self, number: int, run: Curve) -> Decision:
        """Take in the curves so far of a run, by any number that tells it from the others, and judge it."""
        anyway, own = self._take_in(number, run)
        field = self._within if own.best_epoch is not None else self._all
        own = own if own.best_epoch is not None else anyway
        if own.best_epoch is None or len(own.log_loss) < self.first_epoch:
            return Decision(False, own.best_epoch)
        reason = self._hopeless(number, own, field, run.val_loss_se[own.best_epoch])
        return Decision(reason is not None, own.best_epoch, reason)

    def remember(self, number: int, run: Curve) -> None:
        """Take in the curves of a run that has ended: others are compared with it, and it is not judged any more."""
        self._take_in(number, run)

    def end(self, number: int, *, overfitted: bool = False) -> None:
        """A run has come to its end: trained as planned, or overfitted. Not told of runs that were given up."""
        for field in (self._all, self._within):
            field.end(number, settled=overfitted)

    def forget(self, number: int) -> None:
        """A run does not count any more."""
        for field in (self._all, self._within):
            field.forget(number)

    def _take_in(self, number: int, run: Curve) -> tuple[Worth, Worth]:
        """What a run is worth where every epoch counts, and where only those within the ceiling do."""
        loss, gap = (np.asarray(values, dtype=np.float64) for values in (run.val_loss, run.gap))
        finite = np.isfinite(loss) & np.isfinite(gap)
        ceiling = math.inf if self.max_gap is None else self.max_gap
        anyway, own = worth(loss, gap, finite), worth(loss, gap, finite & (gap <= ceiling))
        self._all.put(number, anyway)
        self._within.put(number, own)
        return anyway, own

    def _hopeless(self, number: int, own: Worth, field: Field, se: float) -> str | None:
        """The reason why a run is, or None."""
        losses, gaps = self._within.results(number)
        if not len(losses):
            losses, gaps = self._all.results(number)
        epochs = len(own.log_loss)
        hope = self._hope(own, field)
        if hope is None or not len(losses):
            return None
        said = f"after {epochs} epochs its validation loss, {math.exp(own.log_loss[-1]):.3g}"
        best, gap = losses.min(), own.gap[-1]
        noise = self.noise * math.sqrt(2) * (se if math.isfinite(se) else 0.0)
        if hope - best > math.log1p(max(self.useful, noise / math.exp(best))):
            return f"{said}, may still reach {math.exp(hope):.3g}; another run has {math.exp(best):.3g}"
        beaten = losses[(np.exp(losses) < math.exp(hope) * (1 - TIE) - noise) & (gaps <= gap)]
        if len(beaten):
            other = math.exp(beaten.min())
            return f"{said}, may still reach {math.exp(hope):.3g}; another run has {other:.3g} and no larger a gap"
        return None

    def _hope(self, own: Worth, field: Field) -> float | None:
        """Log of the loss that a run may still reach; None where too few runs have ended to tell."""
        epochs = len(own.log_loss)
        total = self.total_epochs or field.longest()
        gains = field.gains(epochs, total, self.ahead)
        n = len(gains)
        if n < self.peers:
            return None
        doubt = self.z * float(gains.std(ddof=1)) * math.sqrt(1 + 1 / n) * n / (n - 1)
        return float(paced(own.log_loss, epochs, total, self.ahead) - gains.mean()) - doubt


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
