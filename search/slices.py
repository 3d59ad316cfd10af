"""The report's own graphs: each hyperparameter against loss and gap, and where the fit regimes occurred."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

import plotly.graph_objects as go
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from search.figures import MOST_HOPELESS
from search.fit import GOOD, PARTIAL_OVERFIT, TRUE_OVERFIT, UNDERFIT
from search.insight import importances, reached_best
from search.knobs import varying
from search.results import TrialResult
from search.stopping import HOPELESS
from search.story import Story
from search.style import TEXT, Look, ending, log_ticks, look, plain, styled

REGIMES = {
    GOOD: Look("#009E73", "circle"),
    PARTIAL_OVERFIT: Look("#E69F00", "diamond"),
    TRUE_OVERFIT: Look("#D55E00", "triangle-up"),
    UNDERFIT: Look("#56B4E9", "square"),
}
CHOSEN = Look("#000000", "star")
CENSORED = "stopped before its best"
LONGEST = 12  # name of a category on an axis, in letters
CROWD = 150  # trials from which marks are smaller
TICKS = 5  # of a small graph's axis, at most


@dataclass(frozen=True)
class Regime:
    """The runs of one fit regime that reached their best. where: the middle half of them, by parameter."""

    name: str
    runs: tuple[TrialResult, ...]
    where: dict[str, str]

    @property
    def val_loss(self) -> float:
        """The median, in nats."""
        return median(trial.val_loss for trial in self.runs if trial.val_loss is not None)

    @property
    def gap(self) -> float:
        """The median, in nats, signed."""
        return median(trial.gap for trial in self.runs if trial.gap is not None)


def slices(story: Story) -> list[go.Figure]:
    """One figure for each parameter that differs between trials: above the validation loss, below the gap."""
    return [_slice(story, name, distribution) for name, distribution in _parameters(story).items()]


def regimes(story: Story, knobs: Sequence[str]) -> list[Regime]:
    """The fit regimes that occurred, and where in these parameters."""
    reached = _reached(story)
    return [
        Regime(name, runs, {knob: _middle_half([trial.params[knob] for trial in runs]) for knob in knobs})
        for name in REGIMES
        if (runs := tuple(trial for trial in reached if trial.fit == name))
    ]


def regime_map(story: Story, knobs: Sequence[str]) -> go.Figure | None:
    """The fit regime of each run in the plane of two parameters; None where there are not two."""
    if len(knobs) < 2:
        return None
    figure, distributions = go.Figure(), _parameters(story)
    reached = {trial.number for trial in _reached(story)}
    censored = _best([trial for trial in _drawn(story, knobs) if trial.number not in reached])
    groups = [(CENSORED, look(HOPELESS), censored)]
    groups += [(regime.name, REGIMES[regime.name], list(regime.runs)) for regime in regimes(story, knobs)]
    for name, style, trials in groups:
        x, y = (_positions(trials, knob, distributions[knob]) for knob in knobs)
        _add_points(figure, trials, x, y, style, name, size=10 if len(story.trials) < CROWD else 6)
    return styled(
        figure,
        f"Fit regimes over {plain(knobs[0])} and {plain(knobs[1])}",
        xaxis=_axis(distributions[knobs[0]]) | {"title": plain(knobs[0])},
        yaxis=_axis(distributions[knobs[1]]) | {"title": plain(knobs[1])},
    )


def strongest(story: Story) -> list[str]:
    """The two parameters with the largest share in the gap's variance; where that is unknown, the first two."""
    known = varying(reached_best(story.finished))
    ranked = [name for name in importances(story.finished, "gap") if name in known]
    return (ranked + [name for name in known if name not in ranked])[:2]


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
    groups: dict[str, list[TrialResult]] = {HOPELESS: []}
    for trial in drawn:
        groups.setdefault(ending(trial), []).append(trial)
    groups[HOPELESS] = _best(groups[HOPELESS])
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


def _middle_half(values: Sequence[Any]) -> str:
    """Of numbers the quartiles; of categories the most frequent one."""
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return max(sorted(map(str, values)), key=[str(value) for value in values].count)
    if len(values) == 1:
        return f"{values[0]:.3g}"
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{low:.3g} to {high:.3g}"
