"""The graph of hyperparameter importance: what drives the validation loss, and what drives the gap."""

from collections.abc import Sequence

import plotly.graph_objects as go

from search.insight.importance import importances, sampled
from search.results.snapshot import StudySnapshot
from search.show.theme import BAR, plain, rounded, themed


def importance(snapshot: StudySnapshot) -> go.Figure | None:
    """What drives the validation loss and what drives the gap, side by side; None where too little is known."""
    of_loss, of_gap = (importances(snapshot.ended, objective) for objective in ("val_loss", "gap"))
    if not (of_loss or of_gap):
        return None
    names = sorted(of_loss | of_gap, key=lambda name: max(of_loss.get(name, 0.0), of_gap.get(name, 0.0)))
    figure = go.Figure()
    for number, shares in enumerate((of_loss, of_gap), 1):
        _add_bars(figure, names, [shares.get(name, 0.0) for name in names], number)
    axis = {"tickformat": ".0%", "range": [0, 1.18 * max(*of_loss.values(), *of_gap.values())]}
    return themed(
        figure,
        f"What drives the loss and the gap (fANOVA, {len(sampled(snapshot.ended))} runs)",
        showlegend=False,
        xaxis=axis | {"domain": [0, 0.47], "title": "of the validation loss"},
        xaxis2=axis | {"domain": [0.53, 1], "title": "of the gap"},
        yaxis={"automargin": True},
        yaxis2={"anchor": "x2", "matches": "y", "showticklabels": False},
    )


def _add_bars(figure: go.Figure, names: Sequence[str], shares: Sequence[float], number: int) -> None:
    """A bar for each share, on the axes of that number."""
    figure.add_bar(
        x=rounded(shares),
        y=[plain(name) for name in names],
        orientation="h",
        marker={"color": BAR},
        text=[f"{share:.0%}" for share in shares],
        textposition="outside",
        cliponaxis=False,
        xaxis=f"x{number}",
        yaxis=f"y{number}",
        hoverinfo="skip",
    )
