"""Standard errors from resampled tables of runs."""

import math
from collections.abc import Sequence

import numpy as np


def standard_error(estimates: Sequence[float]) -> float:
    """The standard deviation of the finite estimates, one from each resample; NaN with fewer than two of them."""
    finite = [value for value in estimates if math.isfinite(value)]
    return float(np.std(finite, ddof=1)) if len(finite) > 1 else math.nan


def left_out_error(estimates: Sequence[float], drawn: int, runs: int) -> float:
    """The same where each estimate comes from a draw without replacement of `drawn` of the table's runs.

    The jackknife that leaves out several at a time (Shao and Wu, 1989); for rules that learn from runs, which must not
    meet the same run twice. Infinite where no run is left out.
    """
    left_out = runs - drawn
    return math.sqrt(drawn / left_out) * standard_error(estimates) if left_out else math.inf
