"""The learning curves of the runs that matter, overlaid: for the dashboard and for the report."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from search.results.snapshot import StudySnapshot
from search.results.trial_result import TrialResult
from search.show.theme import TEXT, drawable, log_axis, marker_of, plain, rounded, themed

CURVES = ("train_loss", "val_loss")
MOST_POINTS = 50  # of a curve
MOST_NAMED = 3  # trials beside the ends of curves that end together
MOST_CURVES = {"front": 3, "running": 4, "finished": 2, "overfit": 2, "diverged": 1, "hopeless": 1}


def learning_curves(snapshot: StudySnapshot) -> go.Figure | None:
    """Training and validation curves of the runs that matter, over each other; best epochs and ends marked."""
    drawn = runs_that_matter(snapshot)
    if not drawn:
        return None
    baseline = [snapshot.constraints.baseline_loss] if math.isfinite(snapshot.constraints.baseline_loss) else []
    losses = [loss for trial in drawn for name in CURVES for loss in trial.history[name] if drawable(loss)]
    axis = log_axis(losses + baseline)
    figure = go.Figure()
    for trial in drawn:
        _add_curves(figure, trial)
        _add_marks(figure, trial)
    _add_labels(figure, _labels(drawn, 0.045 * (axis["range"][1] - axis["range"][0])))
    if baseline:
        line = {"dash": "dash", "width": 1, "color": TEXT}
        figure.add_hline(y=baseline[0], line=line, name="linear baseline", showlegend=True)
    return themed(
        figure,
        "Curves: solid validation, dotted training, ★ best epoch",
        xaxis={"title": "epoch"},
        yaxis={"title": "loss (nats)"} | axis,
        margin={"b": 140, "r": 64},  # for three rows of legend, and for labels
    )


def runs_that_matter(snapshot: StudySnapshot) -> list[TrialResult]:
    """The chosen trial, the front, those that run, and a few that were stopped; those with curves."""
    kinds: dict[str, list[TrialResult]] = {kind: [] for kind in ("chosen", *MOST_CURVES)}
    for trial in snapshot.trials:
        if (kind := _kind(trial)) in kinds and any(map(drawable, trial.history.get("val_loss", ()))):
            kinds[kind].append(trial)
    for kind, most in MOST_CURVES.items():
        kinds[kind] = sorted(kinds[kind], key=lambda trial: (trial.val_loss or math.inf, trial.number))[:most]
    return [trial for trials in kinds.values() for trial in trials]


def thinned(values: Sequence[float], keep: Sequence[int], most: int = MOST_POINTS) -> list[int]:
    """At most `most` indices of a curve, evenly spread, and those to `keep` and the ends besides."""
    step = max(1, math.ceil(len(values) / most))
    return sorted({*range(0, len(values), step), *keep, len(values) - 1})


def _best_epochs(trial: TrialResult) -> list[int]:
    """The best epoch, where there is one."""
    return [] if trial.run is None else [trial.run.best_epoch]


def _kind(trial: TrialResult) -> str:
    if trial.chosen or trial.front:
        return "chosen" if trial.chosen else "front"
    return trial.ending


def _add_curves(figure: go.Figure, trial: TrialResult) -> None:
    """Two lines: training dotted, validation solid."""
    kept = thinned(trial.history["val_loss"], _best_epochs(trial))
    for name, dash in zip(CURVES, ("dot", "solid"), strict=True):
        figure.add_scatter(
            x=[epoch + 1 for epoch in kept],
            y=[rounded(trial.history[name][epoch]) for epoch in kept],
            mode="lines",
            line={"color": marker_of(trial.ending).colour, "dash": dash, "width": 3 if trial.chosen else 1.5},
            legendgroup=trial.number,
            showlegend=False,
            hovertemplate=f"trial {trial.number}, {name}, epoch %{{x}}: %{{y:.4f}}<extra></extra>",
        )


def _add_marks(figure: go.Figure, trial: TrialResult) -> None:
    """On the validation curve: what ended it, and a star at its best epoch. They make the legend."""
    losses, marker = trial.history["val_loss"], marker_of(trial.ending)
    marks = [len(losses) - 1, *_best_epochs(trial)]
    figure.add_scatter(
        x=[epoch + 1 for epoch in marks],
        y=[rounded(losses[epoch]) for epoch in marks],
        mode="markers",
        marker={
            "symbol": [marker.symbol, "star"][: len(marks)],
            "size": [8, 14 if trial.chosen else 11][: len(marks)],
            "color": marker.colour,
            "opacity": 1,
            "line": {"color": marker.colour, "width": 1.5},
        },
        legendgroup=trial.number,
        name=f"{trial.number}{', chosen' if trial.chosen else ''}: {plain(trial.ending)}",
        hovertemplate=f"trial {trial.number}, {plain(trial.ending)}, epoch %{{x}}: %{{y:.4f}}<extra></extra>",
        cliponaxis=False,
    )


def _add_labels(figure: go.Figure, labels: Sequence[tuple[int, float, str]]) -> None:
    """The trials' numbers beside the ends of their curves."""
    figure.add_scatter(
        x=[epochs for epochs, _, _ in labels],
        y=[rounded(loss) for _, loss, _ in labels],
        mode="text",
        text=[f"   {text}" for _, _, text in labels],
        textposition="middle right",
        textfont={"size": 11},
        showlegend=False,
        hoverinfo="skip",
        cliponaxis=False,
    )


def _labels(drawn: Sequence[TrialResult], apart: float) -> list[tuple[int, float, str]]:
    """Epochs, loss and text of each label; ends of curves less than `apart` decades from the last share one."""
    ends = [
        (len(trial.history[name]), math.log10(trial.history[name][-1]), trial.number)
        for trial in drawn
        for name in CURVES
        if drawable(trial.history[name][-1])
    ]
    groups: list[list[tuple[int, float, int]]] = []
    for end in sorted(ends):
        if groups and groups[-1][0][0] == end[0] and end[1] - groups[-1][-1][1] < apart:
            groups[-1].append(end)
        else:
            groups.append([end])
    return [
        (
            group[0][0],
            10 ** (sum(loss for _, loss, _ in group) / len(group)),
            _named(sorted({number for *_, number in group})),
        )
        for group in groups
    ]


def _named(numbers: Sequence[int]) -> str:
    named = " ".join(map(str, numbers[:MOST_NAMED]))
    return f"{named} …" if len(numbers) > MOST_NAMED else named
