"""The map of fit regimes in the plane of two hyperparameters."""

from collections.abc import Sequence

import plotly.graph_objects as go

from search.choice.fit import Fit
from search.insight.fit_regimes import regimes
from search.results.snapshot import StudySnapshot
from search.show.parameter_plot import CROWD, add_points, ended_with, parameter_axis, parameters, positions
from search.show.theme import Marker, marker_of, plain, themed
from search.show.trial_groups import best_of
from search.stopping.stopped import Stopped

MARKERS = {
    Fit.GOOD: Marker("#009E73", "circle"),
    Fit.PARTIAL_OVERFIT: Marker("#E69F00", "diamond"),
    Fit.TRUE_OVERFIT: Marker("#D55E00", "triangle-up"),
    Fit.UNDERFIT: Marker("#56B4E9", "square"),
}
CENSORED = "stopped before its best"


def regime_map(snapshot: StudySnapshot, names: Sequence[str]) -> go.Figure | None:
    """The fit regime of each run in the plane of two parameters; None where there are not two."""
    if len(names) < 2:
        return None
    figure, distributions = go.Figure(), parameters(snapshot)
    placed = ended_with(snapshot, names)
    groups = [(CENSORED, marker_of(Stopped.HOPELESS), best_of([trial for trial in placed if not trial.reached_best]))]
    groups += [(str(regime.fit), MARKERS[regime.fit], list(regime.trials)) for regime in regimes(placed, names)]
    for label, marker, trials in groups:
        x, y = (positions(trials, name, distributions[name]) for name in names)
        add_points(figure, trials, x, y, marker, label, size=10 if len(snapshot.trials) < CROWD else 6)
    return themed(
        figure,
        f"Fit regimes over {plain(names[0])} and {plain(names[1])}",
        xaxis=parameter_axis(distributions[names[0]]) | {"title": plain(names[0])},
        yaxis=parameter_axis(distributions[names[1]]) | {"title": plain(names[1])},
    )
