"""Hyperparameters as axes: what slices and the map of fit regimes have in common."""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from search.results.snapshot import StudySnapshot
from search.results.trial_result import TrialResult
from search.show.theme import Marker, log_axis_between, plain, rounded

CHOSEN = Marker("#000000", "star")
CROWD = 150  # trials from which marks are smaller
LONGEST = 12  # name of a category on an axis, in letters
TICKS = 5  # of a small graph's axis, at most
MARGIN = 0.04  # of a range, on each side of it

Places = Sequence[float | str | None]  # on one axis, by trial


def parameters(snapshot: StudySnapshot) -> dict[str, BaseDistribution]:
    """The range of each parameter that takes more than one value, by name, in the order of the space."""
    distributions: dict[str, BaseDistribution] = {}
    values: dict[str, set[Any]] = {}
    for trial in snapshot.ended:
        distributions |= trial.distributions
        for name, value in trial.params.items():
            values.setdefault(name, set()).add(value)
    return {name: distributions[name] for name, taken in values.items() if len(taken) > 1}


def ended_with(snapshot: StudySnapshot, names: Sequence[str]) -> list[TrialResult]:
    """The ended trials that have these parameters, and figures."""
    return [trial for trial in snapshot.ended if trial.run is not None and all(name in trial.params for name in names)]


def add_points(
    figure: go.Figure,
    trials: Sequence[TrialResult],
    x: Places,
    y: Places,
    marker: Marker,
    label: str,
    *,
    size: int,
    yaxis: str = "y",
    values: Places | None = None,
) -> None:
    """One group of trials, with its place in the legend. yaxis: plotly's name. values: told instead of y, by trial."""
    if not trials:
        return
    figure.add_scatter(
        x=x,
        y=y,
        customdata=[[trial.number, value] for trial, value in zip(trials, values or y, strict=True)],
        mode="markers",
        marker={
            "symbol": marker.symbol,
            "size": size,
            "color": marker.colour,
            "line": {"color": "#ffffff" if marker is CHOSEN else marker.colour, "width": 1},
        },
        name=plain(label),
        hovertemplate=f"trial %{{customdata[0]}}, {plain(label)}<br>%{{x}}: %{{customdata[1]}}<extra></extra>",
        yaxis=yaxis,
        cliponaxis=False,
    )


def positions(trials: Sequence[TrialResult], name: str, distribution: BaseDistribution) -> Places:
    """Where trials stand on the axis of a parameter; a category, which may be a number, by its name."""
    values = [trial.params[name] for trial in trials]
    if isinstance(distribution, CategoricalDistribution):
        return [plain(value) for value in values]
    return rounded(values)


def parameter_axis(distribution: BaseDistribution) -> dict[str, Any]:
    """Settings of an axis with the whole range of a parameter, so that a bound is seen as one."""
    if isinstance(distribution, CategoricalDistribution):
        return _category_axis([str(choice) for choice in distribution.choices])
    low, high = float(distribution.low), float(distribution.high)  # type: ignore[attr-defined]
    if getattr(distribution, "log", False):
        margin = (high / low) ** MARGIN
        return log_axis_between(low / margin, high * margin, TICKS)
    margin = MARGIN * (high - low)
    axis = {"range": [low - margin, high + margin], "nticks": TICKS}
    if isinstance(distribution, IntDistribution):
        steps = (high - low) / distribution.step
        axis |= {"tick0": low, "dtick": distribution.step * max(1, math.ceil(steps / TICKS))}
    return axis


def _category_axis(names: Sequence[str]) -> dict[str, Any]:
    """All categories, in their order; long names are cut."""
    shown = [plain(name) for name in names]
    cut = [plain(name if len(name) <= LONGEST else name[: LONGEST - 1] + "…") for name in names]
    return {"type": "category", "categoryarray": shown, "tickvals": shown, "ticktext": cut, "automargin": True}
