"""The report's own graphs: each hyperparameter against loss and gap, and where the fit regimes occurred."""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from search.insight.importance import reached_best
from search.results.snapshot import Story
from search.results.trial_result import TrialResult
from search.show.loss_against_gap import MOST_HOPELESS
from search.show.theme import TEXT, Look, ending, log_ticks, look, plain, styled
from search.stopping.stopped import Stopped

CHOSEN = Look("#000000", "star")
LONGEST = 12  # name of a category on an axis, in letters
CROWD = 150  # trials from which marks are smaller
TICKS = 5  # of a small graph's axis, at most


def slices(story: Story) -> list[go.Figure]:
    """One figure for each parameter that differs between trials: above the validation loss, below the gap."""
    return [_slice(story, name, distribution) for name, distribution in _parameters(story).items()]


def _parameters(story: Story) -> dict[str, BaseDistribution]:
    """The range of each parameter that takes more than one value, by name, in the order of the space."""
    distributions = {name: range for trial in story.finished for name, range in trial.distributions.items()}
    values: dict[str, set[Any]] = {}
    for trial in story.finished:
        for name, value in trial.params.items():
            values.setdefault(name, set()).add(value)
    return {name: distributions[name] for name, taken in values.items() if len(taken) > 1}


def _reached(story: Story) -> list[TrialResult]:
    numbers = {trial.number for trial in reached_best(story.finished)}
    return [trial for trial in story.trials if trial.number in numbers]


def _drawn(story: Story, names: Sequence[str]) -> list[TrialResult]:
    """The ended trials that have these parameters and figures."""
    return [
        trial
        for trial in story.trials
        if trial.state in ("COMPLETE", "PRUNED")
        and trial.val_loss is not None
        and trial.gap is not None
        and all(name in trial.params for name in names)
    ]


def _best(trials: Sequence[TrialResult]) -> list[TrialResult]:
    return sorted(trials, key=lambda trial: trial.val_loss or 0.0)[:MOST_HOPELESS]


def _slice(story: Story, name: str, distribution: BaseDistribution) -> go.Figure:
    drawn = _drawn(story, [name])
    size = 7 if len(drawn) < CROWD else 4
    groups = [(look(stopped), stopped, size, trials) for stopped, trials in _by_ending(drawn)]
    groups.append((CHOSEN, "chosen", 14, [trial for trial in drawn if trial.chosen]))
    figure = go.Figure()
    for style, label, size, trials in groups:
        x = _positions(trials, name, distribution)
        for objective, axis in (("val_loss", "y"), ("gap", "y2")):
            values = [_rounded(getattr(trial, objective)) for trial in trials]
            _add_points(figure, trials, x, values, style, label, size=size, yaxis=axis)
    _add_terms(figure, story)
    return styled(
        figure,
        plain(name),
        showlegend=False,
        margin={"l": 58, "r": 12, "t": 40, "b": 30},
        xaxis=_axis(distribution) | {"anchor": "y2"},
        yaxis={"title": "val_loss", "domain": [0.54, 1]} | _loss_axis([t.val_loss for t in drawn if t.val_loss]),
        yaxis2={"title": "gap", "domain": [0, 0.46], "nticks": TICKS},
    )


def _add_terms(figure: go.Figure, story: Story) -> None:
    """The linear baseline, dotted, and the ceiling for the gap, dashed."""
    figure.add_shape(
        type="line", xref="x domain", x0=0, x1=1, yref="y", y0=story.terms.baseline_loss, y1=story.terms.baseline_loss,
        line={"dash": "dot", "width": 1, "color": TEXT},
    )  # fmt: skip
    if story.terms.max_gap is not None:
        figure.add_shape(
            type="line", xref="x domain", x0=0, x1=1, yref="y2", y0=story.terms.max_gap, y1=story.terms.max_gap,
            line={"dash": "dash", "width": 1, "color": TEXT},
        )  # fmt: skip


def _by_ending(drawn: Sequence[TrialResult]) -> list[tuple[str, list[TrialResult]]]:
    """The trials by what ended them; of the hopeless ones, which lie below all others, no more than are told apart."""
    groups: dict[str, list[TrialResult]] = {Stopped.HOPELESS: []}
    for trial in drawn:
        groups.setdefault(ending(trial), []).append(trial)
    groups[Stopped.HOPELESS] = _best(groups[Stopped.HOPELESS])
    return list(groups.items())


def _add_points(
    figure: go.Figure,
    trials: Sequence[TrialResult],
    x: Sequence[float | str],
    y: Sequence[float | str],
    style: Look,
    label: str,
    *,
    size: int,
    yaxis: str = "y",
) -> None:
    if not trials:
        return
    figure.add_scatter(
        x=x,
        y=y,
        customdata=[trial.number for trial in trials],
        mode="markers",
        marker={
            "symbol": style.symbol,
            "size": size,
            "color": style.colour,
            "line": {"color": "#ffffff" if style is CHOSEN else style.colour, "width": 1},
        },
        name=plain(label),
        hovertemplate=f"trial %{{customdata}}, {plain(label)}<br>%{{x}}: %{{y}}<extra></extra>",
        yaxis=yaxis,
        cliponaxis=False,
    )


def _positions(trials: Sequence[TrialResult], name: str, distribution: BaseDistribution) -> list[float | str]:
    """Where trials stand on the axis of a parameter; a category, which may be a number, by its name."""
    values = [trial.params[name] for trial in trials]
    category = isinstance(distribution, CategoricalDistribution)
    return [plain(value) if category else _rounded(value) for value in values]


def _rounded(value: float) -> float:
    """Few digits, for a small file."""
    return float(f"{value:.4g}")


def _axis(distribution: BaseDistribution) -> dict[str, Any]:
    """The whole range of a parameter, so that a bound is seen as one."""
    if isinstance(distribution, CategoricalDistribution):
        names = [str(choice) for choice in distribution.choices]
        cut = [name if len(name) <= LONGEST else name[: LONGEST - 1] + "…" for name in names]
        shown, cut = [plain(name) for name in names], [plain(name) for name in cut]
        return {"type": "category", "categoryarray": shown, "tickvals": shown, "ticktext": cut, "automargin": True}
    low, high = float(distribution.low), float(distribution.high)  # type: ignore[attr-defined]
    if getattr(distribution, "log", False):
        margin = (high / low) ** 0.04
        return _log(low / margin, high * margin)
    margin = 0.04 * (high - low)
    axis = {"range": [low - margin, high + margin], "nticks": TICKS}
    if isinstance(distribution, IntDistribution):
        axis |= {"tick0": low, "dtick": distribution.step * max(1, math.ceil((high - low) / distribution.step / TICKS))}
    return axis


def _loss_axis(losses: Sequence[float]) -> dict[str, Any]:
    return _log(min(losses) / 1.08, max(losses) * 1.08) if losses else {}


def _log(low: float, high: float) -> dict[str, Any]:
    ticks = log_ticks(low, high, TICKS)
    return {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }
