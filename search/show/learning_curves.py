"""The learning curves of the runs that matter, over each other, for the dashboard and for the report."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from search.results.snapshot import StudySnapshot
from search.results.trial_result import TrialResult
from search.show.axes import Axis, epoch_axis, loss_axis
from search.show.theme import TEXT, drawable, marker_of, plain, rounded, themed
from search.stopping.stopped import Stopped

CURVES = ("train_loss", "val_loss")
MOST_POINTS = 50  # of a curve
MOST_NAMED = 3  # trials beside the ends of curves that end together
LABELS_APART = 0.045  # of the axis: ends of curves that are nearer share a label
MOST_CURVES: dict[str, int] = {  # trials of each kind; `front` are those of it that are not chosen
    "front": 3,
    "running": 4,
    Stopped.FINISHED: 2,
    Stopped.OVERFIT: 2,
    Stopped.DIVERGED: 1,
    Stopped.HOPELESS: 1,
}


class Label(NamedTuple):
    """What stands beside the ends of curves."""

    epoch: int  # from 1
    loss: float  # the mean of the ends, on the logarithmic scale
    text: str  # the trials' numbers


class Mark(NamedTuple):
    """A symbol on a validation curve."""

    epoch: int  # from 0
    symbol: str  # plotly's name
    size: int


def learning_curves(snapshot: StudySnapshot) -> go.Figure | None:
    """Training and validation curves, best epochs and ends marked; None where no trial has any."""
    drawn = runs_that_matter(snapshot)
    if not drawn:
        return None
    baseline = snapshot.constraints.baseline_loss
    axis = loss_axis([loss for trial in drawn for name in CURVES for loss in trial.history[name]], [baseline])
    figure = go.Figure()
    for trial in drawn:
        _add_curves(figure, trial)
        _add_marks(figure, trial, axis)
    _add_labels(figure, _labels(drawn, axis))
    if math.isfinite(baseline):
        line = {"dash": "dash", "width": 1, "color": TEXT}
        figure.add_hline(y=baseline, line=line, name="linear baseline", showlegend=True)
    return themed(
        figure,
        "Curves: solid validation, dotted training, ★ best epoch",
        xaxis={"title": "epoch"} | epoch_axis(max(trial.epochs_run for trial in drawn)),
        yaxis={"title": "loss (nats)"} | axis.settings,
        margin={"b": 140, "r": 64},  # for three rows of legend, and for labels
    )


def runs_that_matter(snapshot: StudySnapshot) -> list[TrialResult]:
    """The chosen trial, the front, those that run, and a few that were stopped; those with curves."""
    kinds: dict[str, list[TrialResult]] = {kind: [] for kind in ("chosen", *MOST_CURVES)}
    for trial in (trial for trial in snapshot.trials if not trial.replaced):
        if (kind := _kind(trial)) in kinds and any(map(drawable, trial.history.get("val_loss", ()))):
            kinds[kind].append(trial)
    for kind, most in MOST_CURVES.items():
        kinds[kind] = sorted(kinds[kind], key=lambda trial: (trial.val_loss or math.inf, trial.number))[:most]
    return [trial for trials in kinds.values() for trial in trials]


def thinned(values: Sequence[float], keep: Sequence[int], most: int = MOST_POINTS) -> list[int]:
    """At most `most` indices of a curve, evenly spread, and those to `keep` and the ends besides."""
    step = max(1, math.ceil(len(values) / most))
    return sorted({*range(0, len(values), step), *keep, len(values) - 1})


def _kind(trial: TrialResult) -> str:
    if trial.chosen:
        return "chosen"
    return "front" if trial.front else trial.ending


def _add_curves(figure: go.Figure, trial: TrialResult) -> None:
    """Two lines: training dotted, validation solid."""
    kept = thinned(trial.history["val_loss"], [] if trial.run is None else [trial.run.best_epoch])
    for name, dash in zip(CURVES, ("dot", "solid"), strict=True):
        figure.add_scatter(
            x=[epoch + 1 for epoch in kept],
            y=rounded(trial.history[name][epoch] for epoch in kept),
            mode="lines",
            line={"color": marker_of(trial.ending).colour, "dash": dash, "width": 3 if trial.chosen else 1.5},
            legendgroup=trial.number,
            showlegend=False,
            hovertemplate=f"trial {trial.number}, {name}, epoch %{{x}}: %{{y:.4f}}<extra></extra>",
        )


def _add_marks(figure: go.Figure, trial: TrialResult, axis: Axis) -> None:
    """On the validation curve: what ended it, and a star at its best epoch. They make the legend."""
    losses, marker = trial.history["val_loss"], marker_of(trial.ending)
    marks = [Mark(len(losses) - 1, marker.symbol, 8)]
    if trial.run is not None:
        marks.append(Mark(trial.run.best_epoch, "star", 14 if trial.chosen else 11))
    who = f"{trial.number}, chosen" if trial.chosen else str(trial.number)
    figure.add_scatter(
        x=[mark.epoch + 1 for mark in marks],
        y=axis.placed(losses[mark.epoch] for mark in marks),
        customdata=rounded(losses[mark.epoch] for mark in marks),
        mode="markers",
        marker={
            "symbol": [mark.symbol for mark in marks],
            "size": [mark.size for mark in marks],
            "color": marker.colour,
            "opacity": 1,
            "line": {"color": marker.colour, "width": 1.5},
        },
        legendgroup=trial.number,
        name=f"{who}: {plain(trial.ending)}",
        hovertemplate=f"trial {trial.number}, {plain(trial.ending)}, epoch %{{x}}: %{{customdata:.4g}}<extra></extra>",
        cliponaxis=False,
    )


def _add_labels(figure: go.Figure, labels: Sequence[Label]) -> None:
    """The trials' numbers beside the ends of their curves."""
    figure.add_scatter(
        x=[label.epoch for label in labels],
        y=rounded(label.loss for label in labels),
        mode="text",
        text=[f"     {label.text}" for label in labels],
        textposition="middle right",
        textfont={"size": 11},
        showlegend=False,
        hoverinfo="skip",
        cliponaxis=False,
    )


def _labels(drawn: Sequence[TrialResult], axis: Axis) -> list[Label]:
    """Of the ends of all curves, from below; those too near each other share a label."""
    apart = LABELS_APART * math.log10(axis.high / axis.low)
    ends = sorted(
        (len(trial.history[name]), math.log10(min(trial.history[name][-1], axis.high)), trial.number)
        for trial in drawn
        for name in CURVES
        if drawable(trial.history[name][-1])
    )
    groups: list[list[tuple[int, float, int]]] = []
    for end in ends:
        if groups and groups[-1][-1][0] == end[0] and end[1] - groups[-1][-1][1] < apart:
            groups[-1].append(end)
        else:
            groups.append([end])
    return [_label(group) for group in groups]


def _label(ends: Sequence[tuple[int, float, int]]) -> Label:
    """One for ends of curves, each with its epoch, its loss as an exponent of ten, and its trial's number."""
    numbers = sorted({number for _, _, number in ends})
    text = " ".join(map(str, numbers[:MOST_NAMED]))
    mean = sum(exponent for _, exponent, _ in ends) / len(ends)
    return Label(ends[0][0], 10**mean, f"{text} …" if len(numbers) > MOST_NAMED else text)
