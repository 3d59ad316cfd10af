"""The report's own graphs: each hyperparameter against loss and gap, and where the fit regimes occurred."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

import plotly.graph_objects as go

from search.choice.fit import GOOD, PARTIAL_OVERFIT, TRUE_OVERFIT, UNDERFIT
from search.insight.gap_drivers import varying
from search.insight.importance import importances, reached_best
from search.results.snapshot import Story
from search.results.trial_result import TrialResult
from search.show.slices import CROWD, _add_points, _axis, _best, _drawn, _parameters, _positions, _reached
from search.show.theme import Look, look, plain, styled
from search.stopping.stopped import Stopped

REGIMES = {
    GOOD: Look("#009E73", "circle"),
    PARTIAL_OVERFIT: Look("#E69F00", "diamond"),
    TRUE_OVERFIT: Look("#D55E00", "triangle-up"),
    UNDERFIT: Look("#56B4E9", "square"),
}
CENSORED = "stopped before its best"


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
    groups = [(CENSORED, look(Stopped.HOPELESS), censored)]
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


def _middle_half(values: Sequence[Any]) -> str:
    """Of numbers the quartiles; of categories the most frequent one."""
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return max(sorted(map(str, values)), key=[str(value) for value in values].count)
    if len(values) == 1:
        return f"{values[0]:.3g}"
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{low:.3g} to {high:.3g}"
