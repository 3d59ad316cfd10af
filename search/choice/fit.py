"""Fit regimes: does a network underfit, fit, or overfit at its best epoch?"""

from enum import StrEnum

from search.measurement import Measurement

MEMORIZED = 0.98  # train accuracy from which the training set counts as all but memorized
FAR_BELOW = 0.05  # accuracy gap that is large beside a memorized training set
PARTIAL = 0.03  # accuracy gap that is a gap at all
ROUNDING = 1e-9  # 1.0 - 0.95 is more than 0.05
NOISE = 2.0  # standard errors by which a gap must differ from 0


class Fit(StrEnum):
    """The attribute `fit` of a trial."""

    UNDERFIT = "underfit"
    GOOD = "good"
    PARTIAL_OVERFIT = "partial overfit"
    TRUE_OVERFIT = "true overfit"


def fit_regime(epoch: Measurement, baseline_loss: float) -> Fit:
    """The regime of one epoch.

    - `underfit`: no better on the validation split than softmax regression on the pixels.
    - `true overfit`: train accuracy of 98% or more, validation accuracy more than 5 points below.
    - `partial overfit`: validation accuracy more than 3 points below the train accuracy.
    - `good`: everything else, and everything whose gap in loss is within 2 standard errors of 0.
    """
    if epoch.val_loss >= baseline_loss:
        return Fit.UNDERFIT
    if epoch.gap <= NOISE * epoch.gap_se:
        return Fit.GOOD
    if epoch.train_accuracy >= MEMORIZED and epoch.accuracy_gap > FAR_BELOW + ROUNDING:
        return Fit.TRUE_OVERFIT
    return Fit.PARTIAL_OVERFIT if epoch.accuracy_gap > PARTIAL + ROUNDING else Fit.GOOD
