"""Every graph of a search, once: for the dashboard and for the report. Each is None where there is nothing to draw.

Sizes are left to the page. Figures hold plain lists of few digits, since a dashboard sends them again and again.
"""

import math
from collections import Counter
from collections.abc import Sequence

import plotly.graph_objects as go

from search.results import TrialResult
from search.story import Story
from search.style import BAND, BAR, FILL, TEXT, log_axis, look, plain, styled

CURVES = ("train_loss", "val_loss")
MOST_POINTS = 50  # of a curve
MOST_CURVES = {"front": 3, "running": 4, "finished": 2, "overfit": 2, "diverged": 1, "hopeless": 1}
MOST_HOPELESS = 300  # points; beyond that, the best of them


def curves(story: Story) -> go.Figure | None:
    """Training and validation curves of the runs that matter, over each other; best epochs and ends marked."""
    drawn = runs_that_matter(story)
    if not drawn:
        return None
    baseline = [story.terms.baseline_loss] if math.isfinite(story.terms.baseline_loss) else []
    losses = [loss for trial in drawn for name in CURVES for loss in trial.history[name] if _drawable(loss)]
    axis = log_axis(losses + baseline)
    figure = go.Figure()
    for trial in drawn:
        _add_curves(figure, trial)
        _add_marks(figure, trial)
    _add_labels(figure, _labels(drawn, 0.045 * (axis["range"][1] - axis["range"][0])))
    if baseline:
        line = {"dash": "dash", "width": 1, "color": TEXT}
        figure.add_hline(y=baseline[0], line=line, name="linear baseline", showlegend=True)
    return styled(
        figure,
        "Curves: solid validation, dotted training, ★ best epoch",
        xaxis={"title": "epoch"},
        yaxis={"title": "loss (nats)"} | axis,
    )


def runs_that_matter(story: Story) -> list[TrialResult]:
    """The chosen trial, the front, those that run, and a few that were stopped; those with curves."""
    kinds: dict[str, list[TrialResult]] = {kind: [] for kind in ("chosen", *MOST_CURVES)}
    for trial in story.trials:
        if (kind := _kind(trial)) in kinds and any(map(_drawable, trial.history.get("val_loss", ()))):
            kinds[kind].append(trial)
    for kind, most in MOST_CURVES.items():
        kinds[kind] = sorted(kinds[kind], key=lambda trial: (trial.val_loss or math.inf, trial.number))[:most]
    return [trial for trials in kinds.values() for trial in trials]


def thinned(values: Sequence[float], keep: Sequence[int], most: int = MOST_POINTS) -> list[int]:
    """At most `most` indices of a curve, evenly spread, and those to `keep` and the ends besides."""
    step = max(1, math.ceil(len(values) / most))
    return sorted({*range(0, len(values), step), *keep, len(values) - 1})


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
        xaxis=axis | {"domain": [0, 0.48], "title": "of the validation loss"},
        xaxis2=axis | {"domain": [0.52, 1], "title": "of the gap"},
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


def ending(trial: TrialResult) -> str:
    """What ended it, or "running"."""
    return trial.stopped or ("running" if trial.state == "RUNNING" else "cancelled")


def _kind(trial: TrialResult) -> str:
    if trial.chosen or trial.front:
        return "chosen" if trial.chosen else "front"
    return ending(trial)


def _drawable(loss: float) -> bool:
    """On a logarithmic axis."""
    return math.isfinite(loss) and loss > 0


def _rounded(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


def _add_curves(figure: go.Figure, trial: TrialResult) -> None:
    """Two lines: training dotted, validation solid."""
    kept = thinned(trial.history["val_loss"], [] if trial.best_epoch is None else [trial.best_epoch])
    for name, dash in zip(CURVES, ("dot", "solid"), strict=True):
        figure.add_scatter(
            x=[epoch + 1 for epoch in kept],
            y=[_rounded(trial.history[name][epoch]) for epoch in kept],
            mode="lines",
            line={"color": look(ending(trial)).colour, "dash": dash, "width": 3 if trial.chosen else 1.5},
            legendgroup=trial.number,
            showlegend=False,
            hovertemplate=f"trial {trial.number}, {name}, epoch %{{x}}: %{{y:.4f}}<extra></extra>",
        )


def _add_marks(figure: go.Figure, trial: TrialResult) -> None:
    """On the validation curve: what ended it, and a star at its best epoch. They make the legend."""
    losses, style = trial.history["val_loss"], look(ending(trial))
    marks = [len(losses) - 1, *([] if trial.best_epoch is None else [trial.best_epoch])]
    figure.add_scatter(
        x=[epoch + 1 for epoch in marks],
        y=[_rounded(losses[epoch]) for epoch in marks],
        mode="markers",
        marker={
            "symbol": [style.symbol, "star"][: len(marks)],
            "size": [8, 14 if trial.chosen else 11][: len(marks)],
            "color": style.colour,
            "opacity": 1,
            "line": {"color": style.colour, "width": 1.5},
        },
        legendgroup=trial.number,
        name=f"{trial.number}{', chosen' * trial.chosen}: {plain(ending(trial))}",
        hovertemplate=f"trial {trial.number}, {plain(ending(trial))}, epoch %{{x}}: %{{y:.4f}}<extra></extra>",
        cliponaxis=False,
    )


def _add_labels(figure: go.Figure, labels: Sequence[tuple[int, float, str]]) -> None:
    """The trials' numbers beside the ends of their curves."""
    figure.add_scatter(
        x=[epochs for epochs, _, _ in labels],
        y=[_rounded(loss) for _, loss, _ in labels],
        mode="text",
        text=[f"   {text}" for _, _, text in labels],
        textposition="middle right",
        textfont={"size": 11},
        showlegend=False,
        hoverinfo="skip",
        cliponaxis=False,
    )


def _labels(drawn: Sequence[TrialResult], apart: float) -> list[tuple[int, float, str]]:
    """Epochs, loss and text of each label; ends of curves less than `apart` decades from the last share one."""
    ends = [
        (len(trial.history[name]), math.log10(trial.history[name][-1]), trial.number)
        for trial in drawn
        for name in CURVES
        if _drawable(trial.history[name][-1])
    ]
    groups: list[list[tuple[int, float, int]]] = []
    for end in sorted(ends):
        if groups and groups[-1][0][0] == end[0] and end[1] - groups[-1][-1][1] < apart:
            groups[-1].append(end)
        else:
            groups.append([end])
    return [
        (
            group[0][0],
            10 ** (sum(loss for _, loss, _ in group) / len(group)),
            " ".join(map(str, sorted({number for *_, number in group}))),
        )
        for group in groups
    ]


def _placed(trial: TrialResult) -> bool:
    ended = trial.state in ("COMPLETE", "PRUNED", "RUNNING")
    return ended and trial.val_loss is not None and trial.gap is not None and _drawable(trial.val_loss)


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
            x=[_rounded(trial.val_loss or 0.0) for trial in on_front],
            y=[_rounded(trial.gap or 0.0) for trial in on_front],
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
        x=[_rounded(trial.val_loss or 0.0) for trial in trials],
        y=[_rounded(trial.gap or 0.0) for trial in trials],
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
            x=[_rounded(trial.val_loss or 0.0) for trial in ringed],
            y=[_rounded(trial.gap or 0.0) for trial in ringed],
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
        x=[_rounded(share) for share in shares],
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
