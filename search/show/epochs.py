"""The graphs of a search as a whole, for the dashboard and for the report. Each is None where there is nothing to draw.

Sizes are left to the page. Figures hold plain lists of few digits, since a dashboard sends them again and again.
"""

from collections import Counter
from collections.abc import Sequence

import plotly.graph_objects as go

from search.results.snapshot import Story
from search.show.theme import ending, look, plain, styled


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
