"""Axes of losses, gaps and epochs. What lies far off is drawn at the border, with its true value beside it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import plotly.graph_objects as go

from search.insight.importance import measurements
from search.insight.robust import robust_range
from search.results.snapshot import StudySnapshot
from search.results.trial_result import TrialResult
from search.show.theme import TEXT, drawable, log_axis, rounded

DECADE = 1.0  # a loss within a factor of ten of the median is never far off
ROOM = 0.05  # of a range, on each side of it
MOST_VALUES = 5  # beside points at the border: of more, the pointer tells
MOST_EPOCHS = 10  # ticks of an axis of epochs


@dataclass(frozen=True)
class Axis:
    """From one end to the other; what is drawn reaches a little further, so that points at the ends are whole."""

    low: float = -math.inf
    high: float = math.inf
    settings: dict[str, Any] = field(default_factory=dict)  # plotly's

    def placed(self, values: Iterable[float]) -> list[float | None]:
        """Where the values are drawn: those beyond an end at it."""
        return rounded(value if math.isnan(value) else min(max(value, self.low), self.high) for value in values)

    def above(self, value: float) -> bool:
        """Whether it lies beyond the upper end."""
        return value > self.high

    def below(self, value: float) -> bool:
        """Whether it lies beyond the lower end."""
        return value < self.low

    def beyond(self, value: float) -> bool:
        """Whether it lies beyond either."""
        return self.above(value) or self.below(value)


def loss_and_gap_axes(snapshot: StudySnapshot, trials: Sequence[TrialResult], most: int = 9) -> tuple[Axis, Axis]:
    """Of validation losses and of gaps at the best epochs, with at most so many ticks.

    The runs that may be chosen, the linear baseline and the ceiling for the gap are always between the ends.
    """
    at_best, feasible = measurements(trials), measurements([t for t in trials if t.run is not None and t.run.feasible])
    losses, ceiling = [one.val_loss for one in at_best], snapshot.constraints.max_gap
    kept = [0.0, *(one.gap for one in feasible), *([] if ceiling is None else [ceiling])]
    return (
        loss_axis(losses, [snapshot.constraints.baseline_loss, *(one.val_loss for one in feasible)], most),
        gap_axis([one.gap for one in at_best], losses, kept),
    )


def loss_axis(losses: Iterable[float], keep: Iterable[float] = (), most: int = 9) -> Axis:
    """A logarithmic one, with at most so many ticks. The lowest loss and those to `keep` lie between its ends."""
    shown = [math.log10(loss) for loss in losses if drawable(loss)]
    if not shown:
        return Axis()
    kept = [math.log10(loss) for loss in keep if drawable(loss)]
    low, high = robust_range(shown, DECADE, [min(shown), *kept])
    settings = log_axis([10**low, 10**high], most)
    room = (settings["range"][1] - high) / 2
    return Axis(10 ** (low - room), 10 ** (high + room), settings)


def gap_axis(gaps: Sequence[float], losses: Sequence[float], keep: Iterable[float] = ()) -> Axis:
    """A linear one; gaps to `keep` lie between its ends.

    losses: of the same runs. A gap no further from the median one than the median loss is not far off.
    """
    finite = [gap for gap in gaps if math.isfinite(gap)]
    if not finite:
        return Axis()
    low, high = robust_range(finite, median(losses), keep)
    room = ROOM * (high - low) or max(0.1 * abs(high), 0.01)
    return Axis(low - room / 2, high + room / 2, {"range": [low - room, high + room]})


def epoch_axis(longest: int) -> dict[str, Any]:
    """Plotly's settings of an axis from epoch 1 to the last one, with ticks at whole epochs."""
    room = max(ROOM * (longest - 1), 0.25)
    return whole_ticks(longest) | {"range": [1 - room, longest + room]}


def whole_ticks(most: int) -> dict[str, Any]:
    """Plotly's settings of an axis up to `most`, with ticks at round whole numbers."""
    return {"tick0": 0, "dtick": whole_step(most)}


def whole_step(most: int) -> int:
    """The least of 1, 2, 5, 10, 20, 50, ... of which no more than ten steps lead to `most`."""
    return next(
        factor * 10**power for power in range(20) for factor in (1, 2, 5) if factor * 10**power * MOST_EPOCHS >= most
    )


def add_values(
    figure: go.Figure, x: Sequence[Any], y: Sequence[Any], texts: Sequence[str], position: str, yaxis: str = "y"
) -> None:
    """Texts beside points at the border, where they are few.

    position: where they stand, seen from the point, in plotly's words. yaxis: plotly's name.
    """
    if 0 < len(texts) <= MOST_VALUES:
        figure.add_scatter(
            x=x,
            y=y,
            mode="text",
            text=texts,
            textposition=position,
            textfont={"size": 11, "color": TEXT},
            showlegend=False,
            hoverinfo="skip",
            cliponaxis=False,
            yaxis=yaxis,
        )
