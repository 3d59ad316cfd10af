"""Standard errors from resampled tables of runs."""

import math
from collections.abc import Sequence

import numpy as np


def standard_error(estimates: Sequence[float]) -> float:
    """The standard deviation of the finite estimates, one from each resample; NaN with fewer than two of them."""
    finite = [value for value in estimates if math.isfinite(value)]
    return float(np.std(finite, ddof=1)) if len(finite) > 1 else math.nan
