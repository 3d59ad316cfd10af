"""The reliability diagram: how often the network is right, against how sure it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from search.insight.calibration import Bin, reliability
from search.results.predictions import VALIDATION, Predictions, read
from search.show.theme import BAR, TEXT, themed

AFTER = "#D55E00"


def reliability_of(folder: Path, exported: Mapping[str, Any]) -> go.Figure | None:
    """The diagram of what best.pt in the run folder says. exported: the content of best.yaml.

    None where it was not calibrated, or what it says of the validation images is not there.
    """
    calibration = exported.get("calibration")
    found = read(folder, VALIDATION, exported.get("weights_sha256")) if calibration else None
    return reliability_diagram(found, calibration["temperature"]) if calibration and found else None


def reliability_diagram(predictions: Predictions, temperature: float) -> go.Figure:
    """The validation images by confidence, as the network gives it and divided by the temperature.

    A point that lies below the diagonal stands for images of which the network is too sure.
    """
    figure = go.Figure()
    _add_curve(figure, "as it is", reliability(predictions.probabilities(), predictions.labels), BAR, "circle")
    if temperature != 1:
        after = reliability(predictions.probabilities(temperature), predictions.labels)
        _add_curve(figure, f"temperature {temperature:.2f}", after, AFTER, "diamond")
    diagonal = {"color": TEXT, "width": 1, "dash": "dot"}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=diagonal, name="calibrated", hoverinfo="skip")
    percent = {"range": [0, 1.02], "tickformat": ".0%"}
    return themed(
        figure,
        f"How sure, and how often right, on {len(predictions.labels):,} validation images",
        xaxis={"title": "confidence: the probability of the class named"} | percent,
        yaxis={"title": "accuracy"} | percent,
    )


def _add_curve(figure: go.Figure, name: str, bins: Sequence[Bin], colour: str, symbol: str) -> None:
    figure.add_scatter(
        x=[round(one.confidence, 4) for one in bins],
        y=[round(one.accuracy, 4) for one in bins],
        customdata=[one.images for one in bins],
        mode="lines+markers",
        name=name,
        line={"color": colour, "width": 1},
        marker={"color": colour, "symbol": symbol, "size": 9},
        hovertemplate="%{customdata:,} images<br>confidence %{x:.1%}, accuracy %{y:.1%}<extra></extra>",
    )
