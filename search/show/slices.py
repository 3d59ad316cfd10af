"""Slices: each hyperparameter against validation loss and gap."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from optuna.distributions import BaseDistribution

from search.results.snapshot import StudySnapshot
from search.results.trial_result import TrialResult
from search.show.parameter_plot import (
    CHOSEN,
    CROWD,
    TICKS,
    add_points,
    best_of,
    ended_with,
    parameter_axis,
    parameters,
    positions,
)
from search.show.theme import TEXT, log_axis_between, marker_of, plain, rounded, themed
from search.stopping.stopped import Stopped


def slices(snapshot: StudySnapshot) -> list[go.Figure]:
    """One figure for each parameter that differs between trials: above the validation loss, below the gap."""
    return [_slice(snapshot, name, distribution) for name, distribution in parameters(snapshot).items()]


def _slice(snapshot: StudySnapshot, name: str, distribution: BaseDistribution) -> go.Figure:
    drawn = ended_with(snapshot, [name])
    size = 7 if len(drawn) < CROWD else 4
    groups = [(marker_of(stopped), stopped, size, trials) for stopped, trials in _by_ending(drawn)]
    groups.append((CHOSEN, "chosen", 14, [trial for trial in drawn if trial.chosen]))
    figure = go.Figure()
    for marker, label, size, trials in groups:
        x = positions(trials, name, distribution)
        for objective, axis in (("val_loss", "y"), ("gap", "y2")):
            values = [rounded(getattr(trial, objective)) for trial in trials]
            add_points(figure, trials, x, values, marker, label, size=size, yaxis=axis)
    _add_constraints(figure, snapshot)
    return themed(
        figure,
        plain(name),
        showlegend=False,
        margin={"l": 58, "r": 12, "t": 40, "b": 30},
        xaxis=parameter_axis(distribution) | {"anchor": "y2"},
        yaxis={"title": "val_loss", "domain": [0.54, 1]} | _loss_axis([t.val_loss for t in drawn if t.val_loss]),
        yaxis2={"title": "gap", "domain": [0, 0.46], "nticks": TICKS},
    )


def _add_constraints(figure: go.Figure, snapshot: StudySnapshot) -> None:
    """The linear baseline, dotted, and the ceiling for the gap, dashed."""
    constraints = snapshot.constraints
    _add_line(figure, "y", constraints.baseline_loss, "dot")
    if constraints.max_gap is not None:
        _add_line(figure, "y2", constraints.max_gap, "dash")


def _add_line(figure: go.Figure, yaxis: str, value: float, dash: str) -> None:
    line = {"dash": dash, "width": 1, "color": TEXT}
    figure.add_shape(type="line", xref="x domain", x0=0, x1=1, yref=yaxis, y0=value, y1=value, line=line)


def _by_ending(drawn: Sequence[TrialResult]) -> list[tuple[str, list[TrialResult]]]:
    """The trials by what ended them; of the hopeless ones, which lie below all others, no more than are told apart."""
    groups: dict[str, list[TrialResult]] = {Stopped.HOPELESS: []}
    for trial in drawn:
        groups.setdefault(trial.ending, []).append(trial)
    groups[Stopped.HOPELESS] = best_of(groups[Stopped.HOPELESS])
    return list(groups.items())


def _loss_axis(losses: Sequence[float]) -> dict[str, Any]:
    return log_axis_between(min(losses) / 1.08, max(losses) * 1.08, TICKS) if losses else {}
