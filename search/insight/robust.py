"""The range in which most values lie, so that a run whose loss exploded does not squash a graph."""

from collections.abc import Iterable, Sequence
from statistics import median

REACH = 5.0  # median absolute deviations from the median, within which no value is far off
SQUASHED = 0.5  # of the whole range: where the values that are not far off take less, the others are cut off


def robust_range(values: Sequence[float], least: float, keep: Iterable[float] = ()) -> tuple[float, float]:
    """The lowest and the highest of the values that are not far off, and of those to `keep`.

    values, keep: finite. Far off is what lies further from the median than `REACH` median absolute deviations and than
    `least`. All values count where the far ones would take less than half of the range. Raises ValueError where there
    are no values.
    """
    middle = median(values)
    reach = max(least, REACH * median(abs(value - middle) for value in values))
    near = [*(value for value in values if abs(value - middle) <= reach), *keep]
    low, high = min(near), max(near)
    whole = max(high, *values) - min(low, *values)
    return (low, high) if high - low < SQUASHED * whole else (min(low, *values), max(high, *values))
