"""Slices: each hyperparameter against validation loss and gap."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from optuna.distributions import BaseDistribution

from search.insight.importance import measurements
from search.results.snapshot import StudySnapshot
from search.results.trial_result import TrialResult
from search.show.axes import Axis, add_values, loss_and_gap_axes
from search.show.parameter_plot import (
    CHOSEN,
    CROWD,
    TICKS,
    Places,
    add_points,
    ended_with,
    parameter_axis,
    parameters,
    positions,
)
from search.show.theme import TEXT, Marker, marker_of, plain, rounded, themed
from search.show.trial_groups import by_ending
from search.stopping.stopped import Stopped


def slices(snapshot: StudySnapshot) -> list[go.Figure]:
    """One figure for each parameter that differs between trials: above the validation loss, below the gap."""
    return [_slice(snapshot, name, distribution) for name, distribution in parameters(snapshot).items()]


def _slice(snapshot: StudySnapshot, name: str, distribution: BaseDistribution) -> go.Figure:
    drawn = ended_with(snapshot, [name])
    axes = loss_and_gap_axes(snapshot, drawn, TICKS)
    size = 7 if len(drawn) < CROWD else 4
    figure = go.Figure()
    hopeless_below = sorted(by_ending(drawn).items(), key=lambda group: group[0] != Stopped.HOPELESS)
    for ending, trials in hopeless_below:
        _add_group(figure, trials, positions(trials, name, distribution), axes, marker_of(ending), ending, size)
    chosen = [trial for trial in drawn if trial.chosen]
    _add_group(figure, chosen, positions(chosen, name, distribution), axes, CHOSEN, "chosen", 14)
    _add_far_off(figure, positions(drawn, name, distribution), drawn, axes)
    _add_limits(figure, snapshot)
    return themed(
        figure,
        plain(name),
        showlegend=False,
        margin={"l": 58, "r": 12, "t": 40, "b": 30},
        xaxis=parameter_axis(distribution) | {"anchor": "y2"},
        yaxis={"title": "val_loss", "domain": [0.54, 1]} | axes[0].settings,
        yaxis2={"title": "gap", "domain": [0, 0.46], "nticks": TICKS} | axes[1].settings,
    )


def _halves(trials: Sequence[TrialResult]) -> list[tuple[str, list[float]]]:
    """Plotly's name of the axis of each half, and what it shows of the trials."""
    at_best = measurements(trials)
    return [("y", [one.val_loss for one in at_best]), ("y2", [one.gap for one in at_best])]


def _add_group(
    figure: go.Figure,
    trials: Sequence[TrialResult],
    x: Places,
    axes: Sequence[Axis],
    marker: Marker,
    label: str,
    size: int,
) -> None:
    """Trials in both halves."""
    for axis, (yaxis, values) in zip(axes, _halves(trials), strict=True):
        y = axis.placed(values)
        add_points(figure, trials, x, y, marker, label, size=size, yaxis=yaxis, values=rounded(values))


def _add_far_off(figure: go.Figure, x: Places, trials: Sequence[TrialResult], axes: Sequence[Axis]) -> None:
    """Their true figures below the runs at the upper borders, and above those at the lower ones."""
    for axis, (yaxis, values) in zip(axes, _halves(trials), strict=True):
        for position, beyond, text in (
            ("bottom center", axis.above, "<br>{:.3g}"),
            ("top center", axis.below, "{:.3g}<br> "),
        ):
            rows = [row for row, value in enumerate(values) if beyond(value)]
            y, texts = axis.placed(values[row] for row in rows), [text.format(values[row]) for row in rows]
            add_values(figure, [x[row] for row in rows], y, texts, position, yaxis)


def _add_limits(figure: go.Figure, snapshot: StudySnapshot) -> None:
    """The linear baseline, dotted, and the ceiling for the gap, dashed."""
    baseline, ceiling = snapshot.constraints.baseline_loss, snapshot.constraints.max_gap
    if math.isfinite(baseline):
        _add_line(figure, "y", baseline, "dot")
    if ceiling is not None:
        _add_line(figure, "y2", ceiling, "dash")


def _add_line(figure: go.Figure, yaxis: str, value: float, dash: str) -> None:
    line = {"dash": dash, "width": 1, "color": TEXT}
    figure.add_shape(type="line", xref="x domain", x0=0, x1=1, yref=yaxis, y0=value, y1=value, line=line)
