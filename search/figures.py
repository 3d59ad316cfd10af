"""The graphs of a search as a whole, for the dashboard and for the report. Each is None where there is nothing to draw.

Sizes are left to the page. Figures hold plain lists of few digits, since a dashboard sends them again and again.
"""

import math
from collections import Counter
from collections.abc import Sequence

import plotly.graph_objects as go

from search.results import TrialResult
from search.story import Story
from search.style import BAND, BAR, FILL, TEXT, drawable, ending, log_axis, look, plain, rounded, styled

MOST_HOPELESS = 300  # points; beyond that, the best of them


def loss_against_gap(story: Story) -> go.Figure | None:
    """Each run at its best epoch: where runs may be chosen, the front, what noise cannot tell from the best."""
    placed = [trial for trial in story.trials if _placed(trial)]
    if not placed:
        return None
    figure = go.Figure()
    _add_regions(figure, story, placed)
    _add_front(figure, placed)
    for stopped in Counter(map(ending, placed)):
        _add_points(figure, stopped, [trial for trial in placed if ending(trial) == stopped])
    _add_marked(figure, story, placed)
    return styled(
        figure,
        "Validation loss against gap",
        xaxis={"title": "validation loss (nats)"} | log_axis(_losses(story, placed)),
        yaxis={"title": "gap (nats)"},
    )


def drivers(story: Story) -> go.Figure | None:
    """What drives the validation loss and what drives the gap, side by side."""
    from search.insight import importances, reached_best  # imports scikit-learn, which takes a second

    shares = {target: importances(story.finished, target) for target in ("val_loss", "gap")}
    if not any(shares.values()):
        return None
    names = {name for of_target in shares.values() for name in of_target}
    order = sorted(names, key=lambda name: max(of_target.get(name, 0.0) for of_target in shares.values()))
    figure = go.Figure()
    for number, of_target in enumerate(shares.values(), 1):
        _add_shares(figure, [plain(name) for name in order], [of_target.get(name, 0.0) for name in order], number)
    widest = 1.18 * max(share for of_target in shares.values() for share in of_target.values())
    axis = {"tickformat": ".0%", "range": [0, widest]}
    return styled(
        figure,
        f"What drives the loss and the gap (fANOVA, {len(reached_best(story.finished))} runs)",
        showlegend=False,
        xaxis=axis | {"domain": [0, 0.47], "title": "of the validation loss"},
        xaxis2=axis | {"domain": [0.53, 1], "title": "of the gap"},
        yaxis={"automargin": True},
        yaxis2={"anchor": "x2", "matches": "y", "showticklabels": False},
    )


def epochs_spent(story: Story) -> go.Figure | None:
    """Epochs trained and epochs saved, by what ended the runs."""
    ended = [trial for trial in story.trials if trial.state in ("COMPLETE", "PRUNED")]
    planned = max([story.plan.get("epochs", 0), *(trial.epochs_run for trial in ended)], default=0)
    if not ended or not planned:
        return None
    counts = Counter(map(ending, ended))
    spent = {stopped: sum(t.epochs_run for t in ended if ending(t) == stopped) for stopped in counts}
    saved = {stopped: count * planned - spent[stopped] for stopped, count in counts.items()}
    order = [stopped for stopped, _ in reversed(counts.most_common())]
    rows = [_row(stopped, counts[stopped], spent[stopped], saved[stopped]) for stopped in order]
    figure = go.Figure()
    _add_epochs(figure, "trained", rows, [spent[stopped] for stopped in order], order)
    _add_epochs(figure, "saved", rows, [saved[stopped] for stopped in order], order)
    total, all_saved = sum(spent.values()), sum(saved.values())
    return styled(
        figure,
        f"{total:,} of {total + all_saved:,} epochs trained, {all_saved / (total + all_saved):.0%} saved",
        showlegend=False,
        barmode="stack",
        bargap=0.45,
        xaxis={"title": "epochs"},
        yaxis={"automargin": True},
    )


def _row(stopped: str, count: int, spent: int, saved: int) -> str:
    return f"<b>{count:,} {plain(stopped)}</b><br>{spent:,} trained" + (f"<br>{saved:,} saved" if saved else "")


def _placed(trial: TrialResult) -> bool:
    ended = trial.state in ("COMPLETE", "PRUNED", "RUNNING")
    return ended and trial.val_loss is not None and trial.gap is not None and drawable(trial.val_loss)


def _losses(story: Story, placed: Sequence[TrialResult]) -> list[float]:
    baseline = [story.terms.baseline_loss] if math.isfinite(story.terms.baseline_loss) else []
    return [trial.val_loss for trial in placed if trial.val_loss is not None] + baseline


def _add_regions(figure: go.Figure, story: Story, placed: Sequence[TrialResult]) -> None:
    """Where runs may be chosen, up to the linear baseline and the ceiling; and the band about the best."""
    baseline, ceiling = story.terms.baseline_loss, story.terms.max_gap
    gaps = [trial.gap for trial in placed if trial.gap is not None]
    low, high = min(0.0, *gaps), max(gaps) if ceiling is None else ceiling
    if math.isfinite(baseline):
        left = 10 ** log_axis(_losses(story, placed))["range"][0]
        figure.add_shape(
            type="rect",
            showlegend=True,
            name="may be chosen",
            x0=left,
            x1=baseline,
            y0=low,
            y1=high,
            fillcolor=FILL,
            line_width=0,
            layer="below",
        )
        figure.add_vline(x=baseline, line={"dash": "dot", "color": TEXT, "width": 1})
        figure.add_annotation(
            x=math.log10(baseline), y=1, yref="paper", text="linear baseline", textangle=-90, showarrow=False,
            xanchor="right", yanchor="top",
        )  # fmt: skip
    if ceiling is not None:
        figure.add_hline(y=ceiling, line={"dash": "dash", "color": TEXT, "width": 1})
    band = [trial.val_loss for trial in placed if trial.number in story.band and trial.val_loss is not None]
    if len(band) > 1:
        figure.add_vrect(x0=min(band), x1=max(band), fillcolor=BAND, line_width=0, layer="below")


def _add_front(figure: go.Figure, placed: Sequence[TrialResult]) -> None:
    on_front = sorted((trial for trial in placed if trial.front), key=lambda trial: trial.val_loss or 0.0)
    if len(on_front) > 1:
        figure.add_scatter(
            x=[rounded(trial.val_loss or 0.0) for trial in on_front],
            y=[rounded(trial.gap or 0.0) for trial in on_front],
            mode="lines",
            line={"color": TEXT, "width": 1.5, "shape": "hv"},
            name="front",
            hoverinfo="skip",
        )


def _add_points(figure: go.Figure, stopped: str, trials: Sequence[TrialResult]) -> None:
    style = look(stopped)
    if stopped == "hopeless":
        trials = sorted(trials, key=lambda trial: trial.val_loss or 0.0)[:MOST_HOPELESS]
    figure.add_scatter(
        x=[rounded(trial.val_loss or 0.0) for trial in trials],
        y=[rounded(trial.gap or 0.0) for trial in trials],
        customdata=[[trial.number, (trial.best_epoch or 0) + 1, trial.epochs_run] for trial in trials],
        mode="markers",
        marker={
            "symbol": style.symbol,
            "size": 8,
            "color": style.colour,
            "line": {"color": style.colour, "width": 1.5},
        },
        name=plain(stopped),
        hovertemplate=(
            f"trial %{{customdata[0]}}, {plain(stopped)}<br>val_loss %{{x:.4f}}, gap %{{y:.4f}}"
            "<br>best epoch %{customdata[1]} of %{customdata[2]}<extra></extra>"
        ),
    )


def _add_marked(figure: go.Figure, story: Story, placed: Sequence[TrialResult]) -> None:
    """Rings about the runs that cannot be told from the best, and the chosen one's name."""
    ringed = [trial for trial in placed if trial.number in story.band]
    if len(ringed) > 1:
        figure.add_scatter(
            x=[rounded(trial.val_loss or 0.0) for trial in ringed],
            y=[rounded(trial.gap or 0.0) for trial in ringed],
            mode="markers",
            marker={"symbol": "circle-open", "size": 15, "color": TEXT, "line": {"width": 1.5}},
            name="cannot be told from the best",
            hoverinfo="skip",
        )
    for trial in placed:
        if trial.chosen and trial.val_loss is not None:
            figure.add_annotation(
                x=math.log10(trial.val_loss), y=trial.gap, text=f"<b>chosen: {trial.number}</b>", arrowcolor=TEXT,
                arrowhead=2, ax=-25, ay=38,
            )  # fmt: skip


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


def _add_epochs(figure: go.Figure, name: str, rows: list[str], epochs: list[int], order: Sequence[str]) -> None:
    """Solid bars for epochs trained, hatched ones for those saved."""
    colours = [look(stopped).colour for stopped in order]
    figure.add_bar(
        x=epochs,
        y=rows,
        orientation="h",
        marker={
            "color": colours,
            "line": {"color": colours, "width": 1},
            "pattern": {"shape": "/" if name == "saved" else "", "fillmode": "replace", "solidity": 0.2},
        },
        name=f"epochs {name}",
        showlegend=False,
        hovertemplate=f"%{{x:,}} epochs {name}<extra></extra>",
    )
