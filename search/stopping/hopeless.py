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
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.stopping.base import Decision
from search.stopping.extrapolation import Field, Worth, paced, worth

TIE = 1e-9  # relative: less is rounding


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
