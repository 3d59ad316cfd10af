"""The graph of hyperparameter importance: what drives the validation loss, and what drives the gap."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from search.insight.importance import FEWEST, Share, importances, sampled
from search.results.snapshot import StudySnapshot
from search.show.theme import BAR, TEXT, plain, rounded, themed


def importance(snapshot: StudySnapshot) -> go.Figure | None:
    """What drives the validation loss and what drives the gap, side by side; None where the runs tell neither."""
    of_loss, of_gap = (importances(snapshot.ended, objective) for objective in ("val_loss", "gap"))
    if not (of_loss or of_gap):
        return None
    names = sorted(
        of_loss | of_gap, key=lambda name: max(shares[name].value for shares in (of_loss, of_gap) if name in shares)
    )
    figure = go.Figure()
    for number, shares in enumerate((of_loss, of_gap), 1):
        _add_bars(figure, names, shares, number)
    highest = max(max(share.value, share.high) for shares in (of_loss, of_gap) for share in shares.values())
    axis = {"tickformat": ".0%", "range": [0, 1.2 * highest]}
    return themed(
        figure,
        f"What drives the loss and the gap ({len(sampled(snapshot.ended))} runs, 90% lines)",
        showlegend=False,
        xaxis=axis | {"domain": [0, 0.47], "title": _title("of the loss", of_loss)},
        xaxis2=axis | {"domain": [0.53, 1], "title": _title("of the gap", of_gap)},
        yaxis={"automargin": True},
        yaxis2={"anchor": "x2", "matches": "y", "showticklabels": False},
    )


def nothing_stands_out(snapshot: StudySnapshot) -> go.Figure | None:
    """In place of that graph, where there are runs enough to ask; else None."""
    runs = len(sampled(snapshot.ended))
    if runs < FEWEST:
        return None
    title = f"What drives the loss and the gap: these {runs} runs do not tell"
    return themed(go.Figure(), title, showlegend=False, xaxis={"visible": False}, yaxis={"visible": False})


def _title(title: str, shares: Mapping[str, Share]) -> str:
    return title if shares else f"{title}: unclear"


def _add_bars(figure: go.Figure, names: Sequence[str], shares: Mapping[str, Share], number: int) -> None:
    """A bar for each share with a line for its interval, on the axes of that number; none where there are none."""
    shown = [shares.get(name, Share(0.0, 0.0, 0.0)) for name in names]
    labels = [plain(name) for name in names]
    axes = {"xaxis": f"x{number}", "yaxis": f"y{number}", "cliponaxis": False, "hoverinfo": "skip"}
    figure.add_bar(
        x=rounded(share.value for share in shown),
        y=labels,
        orientation="h",
        marker={"color": BAR},
        error_x={
            "type": "data",
            "visible": bool(shares),
            "symmetric": False,
            "array": rounded(max(share.high - share.value, 0.0) for share in shown),
            "arrayminus": rounded(max(share.value - share.low, 0.0) for share in shown),
            "color": TEXT,
            "thickness": 1.5,
            "width": 3,
        },
        **axes,
    )
    figure.add_scatter(
        x=rounded(max(share.value, share.high) for share in shown),
        y=labels,
        mode="text",
        text=[f" {share.value:.0%}" if share.value else "" for share in shown],
        textposition="middle right",
        showlegend=False,
        **axes,
    )
