"""The graph of validation loss against gap: every run, the front, and what may be chosen.

Sizes are left to the page. Figures hold plain lists of few digits, since a dashboard sends them again and again.
"""

import math
from collections import Counter
from collections.abc import Sequence

import plotly.graph_objects as go

from search.results.snapshot import StudySnapshot
from search.results.trial_result import TrialResult
from search.show.theme import BAND, FILL, TEXT, drawable, log_axis, marker_of, plain, rounded, themed

MOST_HOPELESS = 300  # points; beyond that, the best of them


def loss_against_gap(snapshot: StudySnapshot) -> go.Figure | None:
    """Each run at its best epoch: where runs may be chosen, the front, what noise cannot tell from the best."""
    placed = [trial for trial in snapshot.trials if _placed(trial)]
    if not placed:
        return None
    figure = go.Figure()
    _add_regions(figure, snapshot, placed)
    _add_front(figure, placed)
    for stopped in Counter(trial.ending for trial in placed):
        _add_points(figure, stopped, [trial for trial in placed if trial.ending == stopped])
    _add_marked(figure, snapshot, placed)
    return themed(
        figure,
        "Validation loss against gap",
        xaxis={"title": "validation loss (nats)"} | log_axis(_losses(snapshot, placed)),
        yaxis={"title": "gap (nats)"},
    )


def _placed(trial: TrialResult) -> bool:
    ended = trial.state in ("COMPLETE", "PRUNED", "RUNNING")
    return ended and trial.val_loss is not None and trial.gap is not None and drawable(trial.val_loss)


def _losses(snapshot: StudySnapshot, placed: Sequence[TrialResult]) -> list[float]:
    baseline = [snapshot.constraints.baseline_loss] if math.isfinite(snapshot.constraints.baseline_loss) else []
    return [trial.val_loss for trial in placed if trial.val_loss is not None] + baseline


def _add_regions(figure: go.Figure, snapshot: StudySnapshot, placed: Sequence[TrialResult]) -> None:
    """Where runs may be chosen, up to the linear baseline and the ceiling; and the band about the best."""
    baseline, ceiling = snapshot.constraints.baseline_loss, snapshot.constraints.max_gap
    gaps = [trial.gap for trial in placed if trial.gap is not None]
    low, high = min(0.0, *gaps), max(gaps) if ceiling is None else ceiling
    if math.isfinite(baseline):
        left = 10 ** log_axis(_losses(snapshot, placed))["range"][0]
        figure.add_shape(
            type="rect",
            showlegend=True,
            name="may be chosen",
            x0=left,
            x1=baseline,
            y0=low,
            y1=high,
            fillcolor=FILL,
            line_width=0,
            layer="below",
        )
        figure.add_vline(x=baseline, line={"dash": "dot", "color": TEXT, "width": 1})
        figure.add_annotation(
            x=math.log10(baseline), y=1, yref="paper", text="linear baseline", textangle=-90, showarrow=False,
            xanchor="right", yanchor="top",
        )  # fmt: skip
    if ceiling is not None:
        figure.add_hline(y=ceiling, line={"dash": "dash", "color": TEXT, "width": 1})
    band = [trial.val_loss for trial in placed if trial.number in snapshot.band and trial.val_loss is not None]
    if len(band) > 1:
        figure.add_vrect(x0=min(band), x1=max(band), fillcolor=BAND, line_width=0, layer="below")


def _add_front(figure: go.Figure, placed: Sequence[TrialResult]) -> None:
    on_front = sorted((trial for trial in placed if trial.front), key=lambda trial: trial.val_loss or 0.0)
    if len(on_front) > 1:
        figure.add_scatter(
            x=[rounded(trial.val_loss or 0.0) for trial in on_front],
            y=[rounded(trial.gap or 0.0) for trial in on_front],
            mode="lines",
            line={"color": TEXT, "width": 1.5, "shape": "hv"},
            name="front",
            hoverinfo="skip",
        )


def _add_points(figure: go.Figure, stopped: str, trials: Sequence[TrialResult]) -> None:
    marker = marker_of(stopped)
    if stopped == "hopeless":
        trials = sorted(trials, key=lambda trial: trial.val_loss or 0.0)[:MOST_HOPELESS]
    figure.add_scatter(
        x=[rounded(trial.val_loss or 0.0) for trial in trials],
        y=[rounded(trial.gap or 0.0) for trial in trials],
        customdata=[[trial.number, _best_epoch(trial), trial.epochs_run] for trial in trials],
        mode="markers",
        marker={
            "symbol": marker.symbol,
            "size": 8,
            "color": marker.colour,
            "line": {"color": marker.colour, "width": 1.5},
        },
        name=plain(stopped),
        hovertemplate=(
            f"trial %{{customdata[0]}}, {plain(stopped)}<br>val_loss %{{x:.4f}}, gap %{{y:.4f}}"
            "<br>best epoch %{customdata[1]} of %{customdata[2]}<extra></extra>"
        ),
    )


def _best_epoch(trial: TrialResult) -> int:
    """Counted from 1."""
    return 0 if trial.run is None else trial.run.best_epoch + 1


def _add_marked(figure: go.Figure, snapshot: StudySnapshot, placed: Sequence[TrialResult]) -> None:
    """Rings about the runs that cannot be told from the best, and the chosen one's name."""
    ringed = [trial for trial in placed if trial.number in snapshot.band]
    if len(ringed) > 1:
        figure.add_scatter(
            x=[rounded(trial.val_loss or 0.0) for trial in ringed],
            y=[rounded(trial.gap or 0.0) for trial in ringed],
            mode="markers",
            marker={"symbol": "circle-open", "size": 15, "color": TEXT, "line": {"width": 1.5}},
            name="cannot be told from the best",
            hoverinfo="skip",
        )
    for trial in placed:
        if trial.chosen and trial.val_loss is not None:
            figure.add_annotation(
                x=math.log10(trial.val_loss), y=trial.gap, text=f"<b>chosen: {trial.number}</b>", arrowcolor=TEXT,
                arrowhead=2, ax=-25, ay=38,
            )  # fmt: skip
