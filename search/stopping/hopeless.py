"""The rule that gives up runs that cannot catch up with the others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.measurement import History
from search.stopping.base import Decision, check_at_least
from search.stopping.extrapolation import BestSoFar, LearningCurves, best_so_far, extrapolated

TIE = 1e-9  # relative: less is rounding


@dataclass(frozen=True)
class Curve:
    """A run so far, in nats, one entry for each epoch."""

    val_loss: Sequence[float] | np.ndarray
    gap: Sequence[float] | np.ndarray  # `val_loss - train_loss`, signed
    val_loss_se: Sequence[float] | np.ndarray  # standard error of `val_loss` over the images

    @classmethod
    def of(cls, history: History) -> "Curve":
        """Those of a run with these curves."""
        return cls(history["val_loss"], history["gap"], history["val_loss_se"])


class HopelessRule:
    """Stop a run that cannot reach the useful front any more, judged against other runs at the same epoch.

    After e epochs a run's best loss so far is extrapolated in three steps, all in logarithms, so that losses near 2
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

    With `max_gap`, epochs above that ceiling count for nothing: a run stands at its best epoch within the ceiling, and
    is compared with runs that have one. A run that has none yet is extrapolated by its loss alone, which flatters it.

    Nothing is decided before `first_epoch` epochs, nor with fewer than `peers` ended runs: trained for `total_epochs`
    (None: for as long as the longest), or overfitted. No run waits for another.

    It compares runs, so it is no `StoppingRule`: its `update` takes the number of a run and all epochs of it.

    >>> rule = HopelessRule()
    >>> for number in range(4):
    ...     decision = rule.update(number, Curve([2.0, 1.0, 0.8, 0.7], gap=[0.1] * 4, val_loss_se=[0.01] * 4))
    ...     rule.end(number)
    >>> rule.update(4, Curve([1.9, 0.95], gap=[0.0, 0.0], val_loss_se=[0.01, 0.01]))
    Decision(stop=False, best_epoch=1, reason=None)
    >>> rule.update(5, Curve([2.4, 2.0], gap=[0.0, 0.0], val_loss_se=[0.01, 0.01])).reason
    'after 2 epochs its validation loss, 2, may still reach 1.89; another run has 0.7'
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
        check_at_least(0, useful=useful, z=z, noise=noise)
        check_at_least(1, ahead=ahead, first_epoch=first_epoch)
        check_at_least(2, peers=peers)
        self.max_gap, self.total_epochs = max_gap, total_epochs
        self.useful, self.z, self.noise, self.ahead = useful, z, noise, ahead
        self.first_epoch, self.peers = first_epoch, peers
        self._unconstrained = LearningCurves()  # every epoch counts
        self._constrained = LearningCurves()  # those within `max_gap` do

    def update(self, number: int, run: Curve) -> Decision:
        """Take in the curves so far of a run, by any number that tells it from the others, and judge it."""
        unconstrained, constrained = self._take_in(number, run)
        if constrained.best_epoch is not None:
            best, curves = constrained, self._constrained
        else:
            best, curves = unconstrained, self._unconstrained
        if best.best_epoch is None or len(best.log_loss) < self.first_epoch:
            return Decision(False, best.best_epoch)
        reason = self._reason(number, best, curves, run.val_loss_se[best.best_epoch])
        return Decision(reason is not None, best.best_epoch, reason)

    def remember(self, number: int, run: Curve) -> None:
        """Take in the curves of a run that has ended: others are compared with it, and it is not judged any more."""
        self._take_in(number, run)

    def end(self, number: int, *, overfitted: bool = False) -> None:
        """A run has come to its end: trained as planned, or overfitted. Not told of runs that were given up."""
        for curves in (self._unconstrained, self._constrained):
            curves.end(number, overfitted=overfitted)

    def forget(self, number: int) -> None:
        """A run does not count any more."""
        for curves in (self._unconstrained, self._constrained):
            curves.forget(number)

    def _take_in(self, number: int, run: Curve) -> tuple[BestSoFar, BestSoFar]:
        """Put a run among the others; its best so far, of all epochs and of those within the ceiling."""
        loss, gap = (np.asarray(values, dtype=np.float64) for values in (run.val_loss, run.gap))
        finite = np.isfinite(loss) & np.isfinite(gap)
        ceiling = math.inf if self.max_gap is None else self.max_gap
        unconstrained, constrained = best_so_far(loss, gap, finite), best_so_far(loss, gap, finite & (gap <= ceiling))
        self._unconstrained.put(number, unconstrained)
        self._constrained.put(number, constrained)
        return unconstrained, constrained

    def _reason(self, number: int, best: BestSoFar, curves: LearningCurves, se: float) -> str | None:
        """Why a run is hopeless; None where it is not, or where too little is known."""
        losses, gaps = self._constrained.others(number)
        if not len(losses):
            losses, gaps = self._unconstrained.others(number)
        reachable = self._reachable(best, curves)
        if reachable is None or not len(losses):
            return None
        now, then, lowest = math.exp(best.log_loss[-1]), math.exp(reachable), losses.min()
        outlook = f"after {len(best.log_loss)} epochs its validation loss, {now:.3g}, may still reach {then:.3g}"
        noise = self.noise * math.sqrt(2) * (se if math.isfinite(se) else 0.0)
        if reachable - lowest > math.log1p(max(self.useful, noise / math.exp(lowest))):
            return f"{outlook}; another run has {math.exp(lowest):.3g}"
        better = np.exp(losses) < then * (1 - TIE) - noise
        beaten_by = losses[better & (gaps <= best.gap[-1])]
        if len(beaten_by):
            return f"{outlook}; another run has {math.exp(beaten_by.min()):.3g} and no larger a gap"
        return None

    def _reachable(self, best: BestSoFar, curves: LearningCurves) -> float | None:
        """Log of the loss that a run may still reach; None where too few runs have ended to tell."""
        epochs = len(best.log_loss)
        total = self.total_epochs or curves.longest()
        gains = curves.gains(epochs, total, self.ahead)
        n = len(gains)
        if n < self.peers:
            return None
        doubt = self.z * float(gains.std(ddof=1)) * math.sqrt(1 + 1 / n) * n / (n - 1)
        return float(extrapolated(best.log_loss, epochs, total, self.ahead) - gains.mean()) - doubt
