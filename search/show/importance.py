"""The graph of hyperparameter importance: what drives the validation loss, and what drives the gap."""

from collections.abc import Sequence

import plotly.graph_objects as go

from search.results.snapshot import StudySnapshot
from search.show.theme import BAR, plain, rounded, themed


def importance(snapshot: StudySnapshot) -> go.Figure | None:
    """What drives the validation loss and what drives the gap, side by side."""
    from search.insight.importance import importances, reached_best  # imports scikit-learn, which takes a second

    shares = {target: importances(snapshot.ended, target) for target in ("val_loss", "gap")}
    if not any(shares.values()):
        return None
    names = {name for of_target in shares.values() for name in of_target}
    order = sorted(names, key=lambda name: max(of_target.get(name, 0.0) for of_target in shares.values()))
    figure = go.Figure()
    for number, of_target in enumerate(shares.values(), 1):
        _add_shares(figure, [plain(name) for name in order], [of_target.get(name, 0.0) for name in order], number)
    widest = 1.18 * max(share for of_target in shares.values() for share in of_target.values())
    axis = {"tickformat": ".0%", "range": [0, widest]}
    return themed(
        figure,
        f"What drives the loss and the gap (fANOVA, {len(reached_best(snapshot.ended))} runs)",
        showlegend=False,
        xaxis=axis | {"domain": [0, 0.47], "title": "of the validation loss"},
        xaxis2=axis | {"domain": [0.53, 1], "title": "of the gap"},
        yaxis={"automargin": True},
        yaxis2={"anchor": "x2", "matches": "y", "showticklabels": False},
    )


def _add_shares(figure: go.Figure, names: Sequence[str], shares: Sequence[float], number: int) -> None:
    figure.add_bar(
        x=[rounded(share) for share in shares],
        y=list(names),
        orientation="h",
        marker={"color": BAR},
        text=[f"{share:.0%}" for share in shares],
        textposition="outside",
        cliponaxis=False,
        xaxis=f"x{number}",
        yaxis=f"y{number}",
        hoverinfo="skip",
    )
