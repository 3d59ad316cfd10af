"""The graph of epochs trained and epochs saved, by what ended the runs."""

from collections.abc import Sequence

import plotly.graph_objects as go

from search.insight.stops import Stops, stops
from search.results.snapshot import StudySnapshot
from search.show.axes import whole_ticks
from search.show.theme import marker_of, plain, themed


def epochs_trained(snapshot: StudySnapshot) -> go.Figure | None:
    """A bar for each cause, the most frequent on top; None before any trial has ended."""
    rows = stops(snapshot)[::-1]
    trained, saved = sum(row.trained for row in rows), sum(row.saved for row in rows)
    planned = trained + saved
    if not planned:
        return None
    figure = go.Figure()
    _add_bars(figure, "trained", rows, [row.trained for row in rows])
    _add_bars(figure, "saved", rows, [row.saved for row in rows], hatched=True)
    return themed(
        figure,
        f"{trained:,} of {planned:,} epochs trained, {saved / planned:.0%} saved",
        showlegend=False,
        barmode="stack",
        bargap=0.45,
        xaxis={"title": "epochs"} | whole_ticks(max(row.trained + row.saved for row in rows)),
        yaxis={"automargin": True},
    )


def _add_bars(
    figure: go.Figure, name: str, rows: Sequence[Stops], epochs: Sequence[int], *, hatched: bool = False
) -> None:
    colours = [marker_of(row.ending).colour for row in rows]
    figure.add_bar(
        x=epochs,
        y=[_label(row) for row in rows],
        orientation="h",
        marker={
            "color": colours,
            "line": {"color": colours, "width": 1},
            "pattern": {"shape": "/" if hatched else "", "fillmode": "replace", "solidity": 0.2},
        },
        name=f"epochs {name}",
        showlegend=False,
        hovertemplate=f"%{{x:,}} epochs {name}<extra></extra>",
    )


def _label(row: Stops) -> str:
    saved = f", {row.saved:,} saved" if row.saved else ""
    return f"<b>{row.trials:,} {plain(row.ending)}</b><br>{row.trained:,} trained{saved}"
