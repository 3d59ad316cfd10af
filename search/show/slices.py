"""Slices: each hyperparameter against validation loss and gap."""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from optuna.distributions import BaseDistribution

from search.insight.importance import measurements
from search.results.snapshot import StudySnapshot
from search.results.trial_result import TrialResult
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
from search.show.theme import TEXT, Marker, drawable, log_axis_between, marker_of, plain, rounded, themed
from search.show.trial_groups import by_ending
from search.stopping.stopped import Stopped

ROOM = 1.08  # factor by which the axis of losses reaches beyond them


def slices(snapshot: StudySnapshot) -> list[go.Figure]:
    """One figure for each parameter that differs between trials: above the validation loss, below the gap."""
    return [_slice(snapshot, name, distribution) for name, distribution in parameters(snapshot).items()]


def _slice(snapshot: StudySnapshot, name: str, distribution: BaseDistribution) -> go.Figure:
    drawn = ended_with(snapshot, [name])
    size = 7 if len(drawn) < CROWD else 4
    figure = go.Figure()
    hopeless_below = sorted(by_ending(drawn).items(), key=lambda group: group[0] != Stopped.HOPELESS)
    for ending, trials in hopeless_below:
        _add_group(figure, trials, positions(trials, name, distribution), marker_of(ending), ending, size)
    chosen = [trial for trial in drawn if trial.chosen]
    _add_group(figure, chosen, positions(chosen, name, distribution), CHOSEN, "chosen", 14)
    _add_limits(figure, snapshot)
    losses = [at_best.val_loss for at_best in measurements(drawn)]
    return themed(
        figure,
        plain(name),
        showlegend=False,
        margin={"l": 58, "r": 12, "t": 40, "b": 30},
        xaxis=parameter_axis(distribution) | {"anchor": "y2"},
        yaxis={"title": "val_loss", "domain": [0.54, 1]} | _loss_axis(losses),
        yaxis2={"title": "gap", "domain": [0, 0.46], "nticks": TICKS},
    )


def _add_group(
    figure: go.Figure,
    trials: Sequence[TrialResult],
    x: Places,
    marker: Marker,
    label: str,
    size: int,
) -> None:
    """Trials in both halves."""
    at_best = measurements(trials)
    add_points(figure, trials, x, rounded(one.val_loss for one in at_best), marker, label, size=size)
    add_points(figure, trials, x, rounded(one.gap for one in at_best), marker, label, size=size, yaxis="y2")


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


def _loss_axis(losses: Sequence[float]) -> dict[str, Any]:
    """Settings of a logarithmic axis; none where there is nothing to show."""
    shown = [loss for loss in losses if drawable(loss)]
    return log_axis_between(min(shown) / ROOM, max(shown) * ROOM, TICKS) if shown else {}
