"""The graph of validation loss against gap: every run, the front, and what may be chosen."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from search.insight.importance import measurements
from search.measurement import Measurement
from search.results.snapshot import StudySnapshot
from search.results.trial_result import TrialResult
from search.show.axes import Axis, add_values, loss_and_gap_axes
from search.show.theme import BAND, FILL, TEXT, drawable, marker_of, plain, rounded, themed
from search.show.trial_groups import by_ending


def loss_against_gap(snapshot: StudySnapshot) -> go.Figure | None:
    """Each run at its best epoch, those in training included; None where none has figures."""
    placed = [trial for trial in snapshot.trials if _has_place(trial)]
    if not placed:
        return None
    losses, gaps = loss_and_gap_axes(snapshot, placed)
    figure = go.Figure()
    _add_region(figure, snapshot, losses, gaps)
    _add_limits(figure, snapshot)
    in_band = [trial for trial in placed if trial.number in snapshot.band]
    _add_band(figure, in_band)
    _add_front(figure, [trial for trial in placed if trial.front])
    for ending, trials in by_ending(placed).items():
        _add_points(figure, ending, trials, losses, gaps)
    _add_far_off(figure, placed, losses, gaps)
    _add_rings(figure, in_band)
    _add_name(figure, [trial for trial in placed if trial.chosen])
    return themed(
        figure,
        "Validation loss against gap",
        xaxis={"title": "validation loss (nats)"} | losses.settings,
        yaxis={"title": "gap (nats)"} | gaps.settings,
    )


def _has_place(trial: TrialResult) -> bool:
    return (trial.ended or trial.running) and trial.val_loss is not None and drawable(trial.val_loss)


def _losses(trials: Sequence[TrialResult]) -> list[float]:
    return [at_best.val_loss for at_best in measurements(trials)]


def _gaps(trials: Sequence[TrialResult]) -> list[float]:
    return [at_best.gap for at_best in measurements(trials)]


def _add_region(figure: go.Figure, snapshot: StudySnapshot, losses: Axis, gaps: Axis) -> None:
    """Where runs may be chosen: up to the linear baseline and the ceiling for the gap."""
    baseline, ceiling = snapshot.constraints.baseline_loss, snapshot.constraints.max_gap
    if math.isfinite(baseline):
        figure.add_shape(
            type="rect",
            showlegend=True,
            name="may be chosen",
            x0=10 ** losses.settings["range"][0],
            x1=baseline,
            y0=gaps.settings["range"][0],
            y1=gaps.settings["range"][1] if ceiling is None else ceiling,
            fillcolor=FILL,
            line_width=0,
            layer="below",
        )


def _add_limits(figure: go.Figure, snapshot: StudySnapshot) -> None:
    """The linear baseline, dotted and named, and the ceiling for the gap, dashed."""
    baseline, ceiling = snapshot.constraints.baseline_loss, snapshot.constraints.max_gap
    if math.isfinite(baseline):
        figure.add_vline(x=baseline, line={"dash": "dot", "color": TEXT, "width": 1})
        figure.add_annotation(
            x=math.log10(baseline),
            y=0,
            yref="paper",
            text="linear baseline",
            textangle=-90,
            showarrow=False,
            xanchor="right",
            yanchor="bottom",
        )
    if ceiling is not None:
        figure.add_hline(y=ceiling, line={"dash": "dash", "color": TEXT, "width": 1})


def _add_band(figure: go.Figure, in_band: Sequence[TrialResult]) -> None:
    """From the lowest loss to the highest that noise cannot tell from it."""
    losses = _losses(in_band)
    if len(losses) > 1:
        figure.add_vrect(x0=min(losses), x1=max(losses), fillcolor=BAND, line_width=0, layer="below")


def _add_front(figure: go.Figure, on_front: Sequence[TrialResult]) -> None:
    if len(on_front) > 1:
        corners = sorted(zip(_losses(on_front), _gaps(on_front), strict=True), key=lambda corner: corner[0])
        figure.add_scatter(
            x=rounded(loss for loss, _ in corners),
            y=rounded(gap for _, gap in corners),
            mode="lines",
            line={"color": TEXT, "width": 1.5, "shape": "hv"},
            name="front",
            hoverinfo="skip",
        )


def _add_points(figure: go.Figure, ending: str, trials: Sequence[TrialResult], losses: Axis, gaps: Axis) -> None:
    """The runs that ended in one way, with their place in the legend."""
    marker = marker_of(ending)
    figure.add_scatter(
        x=losses.placed(_losses(trials)),
        y=gaps.placed(_gaps(trials)),
        customdata=[
            [run.number, run.best_epoch + 1, trial.epochs_run, *rounded([run.at_best.val_loss, run.at_best.gap])]
            for trial in trials
            if (run := trial.run) is not None
        ],
        mode="markers",
        marker={
            "symbol": marker.symbol,
            "size": 8,
            "color": marker.colour,
            "line": {"color": marker.colour, "width": 1.5},
        },
        name=plain(ending),
        hovertemplate=(
            f"trial %{{customdata[0]}}, {plain(ending)}<br>val_loss %{{customdata[3]:.4g}}, gap %{{customdata[4]:.4g}}"
            "<br>best epoch %{customdata[1]} of %{customdata[2]}<extra></extra>"
        ),
        cliponaxis=False,
    )


def _add_far_off(figure: go.Figure, placed: Sequence[TrialResult], losses: Axis, gaps: Axis) -> None:
    """The true figures of the runs at the border; those in one place share a text."""
    places: dict[tuple[float | None, float | None], list[Measurement]] = {}
    for one in measurements(placed):
        if losses.beyond(one.val_loss) or gaps.beyond(one.gap):
            place = losses.placed([one.val_loss])[0], gaps.placed([one.gap])[0]
            places.setdefault(place, []).append(one)
    x, y = [loss for loss, _ in places], [gap for _, gap in places]
    add_values(figure, x, y, [f"{_figures(runs)}   " for runs in places.values()], "middle left")


def _figures(runs: Sequence[Measurement]) -> str:
    """Of runs in one place."""
    losses = [one.val_loss for one in runs]
    if len(runs) == 1:
        return f"loss {losses[0]:.3g}, gap {runs[0].gap:.3g}"
    return f"{len(runs)} runs, loss {min(losses):.3g} to {max(losses):.3g}"


def _add_rings(figure: go.Figure, in_band: Sequence[TrialResult]) -> None:
    """About the runs that cannot be told from the best."""
    if len(in_band) > 1:
        figure.add_scatter(
            x=rounded(_losses(in_band)),
            y=rounded(_gaps(in_band)),
            mode="markers",
            marker={"symbol": "circle-open", "size": 15, "color": TEXT, "line": {"width": 1.5}},
            name="cannot be told from the best",
            hoverinfo="skip",
        )


def _add_name(figure: go.Figure, chosen: Sequence[TrialResult]) -> None:
    """The chosen trial's number, with an arrow to it."""
    for trial, at_best in zip(chosen, measurements(chosen), strict=True):
        figure.add_annotation(
            x=math.log10(at_best.val_loss),
            y=at_best.gap,
            text=f"<b>chosen: {trial.number}</b>",
            arrowcolor=TEXT,
            arrowhead=2,
            ax=-25,
            ay=-38,
        )
