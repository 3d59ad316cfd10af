"""The confusion matrix: which class is taken for which, as shares of the true class and as counts."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from search.insight.mistakes import row_shares
from search.show.theme import plain, themed

MOST_CLASSES = 100  # of which a cell can still be seen
MOST_WRITTEN = 10  # classes up to which figures stand in the cells; of more, the pointer tells
MOST_NAMED = 25  # classes up to which each has its name at the axes
LONGEST = 12  # signs of a name at an axis
# right ones in blue, mistakes in vermilion; small shares are told apart, for mistakes are rare
COLOURS = [
    (0.0, "rgba(213,94,0,1)"), (0.35, "rgba(213,94,0,0.75)"), (0.45, "rgba(213,94,0,0.4)"),
    (0.495, "rgba(213,94,0,0.12)"), (0.5, "rgba(128,128,128,0)"), (0.75, "rgba(31,131,192,0.3)"),
    (1.0, "rgba(31,131,192,0.8)"),
]  # fmt: skip


def confusion_graph(matrix: np.ndarray, names: Sequence[str]) -> go.Figure | None:
    """matrix: images of each true class (row) taken for each class, int (k, k). None for too many classes."""
    if len(names) > MOST_CLASSES:
        return None
    shares, classes = row_shares(matrix), [plain(name) for name in names]
    short = {plain(name): f"{plain(name[: LONGEST - 1])}…" for name in names if len(name) > LONGEST}
    signs = 2 * np.eye(len(names)) - 1
    figure = go.Figure(
        go.Heatmap(
            x=classes,
            y=classes,
            z=np.round(signs * shares, 4).tolist(),
            zmin=-1,
            zmax=1,
            colorscale=COLOURS,
            showscale=False,
            xgap=1,
            ygap=1,
            customdata=[_told(row, of) for row, of in zip(matrix.tolist(), shares.tolist(), strict=True)],
            hovertemplate="%{y}<br>taken for %{x}:<br>%{customdata}<extra></extra>",
            **(_written(matrix, shares) if len(names) <= MOST_WRITTEN else {}),
        )
    )
    named = {"type": "category", "showgrid": False, "labelalias": short, "tickfont": {"size": 10}}
    if len(names) <= MOST_NAMED:
        named["dtick"] = 1
    themed(figure, "Confusion matrix", showlegend=False)
    figure.update_layout(margin={"l": 80, "b": 80, "r": 16})
    figure.update_xaxes(**named, tickangle=-90)
    figure.update_yaxes(**named, autorange="reversed")
    return figure


def _told(row: Sequence[int], shares: Sequence[float]) -> list[str]:
    """What the pointer tells of a row: count and share."""
    return [f"{count:,} ({share:.1%})" if count else "none" for count, share in zip(row, shares, strict=True)]


def _written(matrix: np.ndarray, shares: np.ndarray) -> dict[str, object]:
    """Plotly's settings for count and share in each cell that is not empty."""
    text = [
        [f"{count}<br>{share:.0%}" if count else "" for count, share in zip(row, of, strict=True)]
        for row, of in zip(matrix.tolist(), shares.tolist(), strict=True)
    ]
    return {"text": text, "texttemplate": "%{text}", "textfont": {"size": 10 if len(text) > 5 else 14}}
