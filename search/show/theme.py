"""How every graph looks: one colour and one symbol for each way in which a run ends, on light and dark pages alike.

Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), which colour-blind people can tell apart; the blue is a
little lighter, for dark pages. Sizes are left to the page. Figures hold plain lists of few digits, since a dashboard
sends them again and again.
"""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from search.stopping.stopped import Stopped

TEXT = "#7f7f7f"  # legible on white and on near-black: nothing here knows which of the two the page is
GRID = "rgba(128,128,128,0.25)"
FILL = "rgba(0,158,115,0.10)"  # where runs may be chosen
BAND = "rgba(230,159,0,0.25)"  # what cannot be told from the best
BAR = "#56B4E9"  # where colour says nothing
FONT = "Roboto, Helvetica, Arial, sans-serif"


@dataclass(frozen=True)
class Marker:
    """How runs that ended in one way are drawn."""

    colour: str  # as in CSS
    symbol: str  # plotly's name

    @property
    def character(self) -> str:
        """The symbol in a line of text."""
        return CHARACTERS[self.symbol]


CHARACTERS = {  # by plotly's symbol
    "circle": "●",
    "circle-open": "○",
    "cross-thin-open": "+",
    "diamond": "◆",
    "line-ew-open": "–",
    "square": "■",
    "triangle-up": "▲",
    "x-thin-open": "×",
}
ENDINGS: dict[str, Marker] = {
    Stopped.FINISHED: Marker("#1F83C0", "circle"),
    Stopped.OVERFIT: Marker("#D55E00", "diamond"),
    Stopped.HOPELESS: Marker("#8C8C8C", "x-thin-open"),
    Stopped.DIVERGED: Marker("#CC79A7", "triangle-up"),
    Stopped.OUT_OF_MEMORY: Marker("#E69F00", "square"),
    Stopped.CANCELLED: Marker("#8C6D1F", "line-ew-open"),
    "running": Marker("#009E73", "circle-open"),
}
OTHER = Marker("#8C6D1F", "cross-thin-open")  # errors


def marker_of(ending: str) -> Marker:
    """Of runs that ended so: a value of `Stopped`, or `running`."""
    return ENDINGS.get(ending, OTHER)


def plain(text: object) -> str:
    """Shown as it is: plotly takes <b>, <a> and the like in any text for markup."""
    return html.escape(str(text), quote=False)


def themed(figure: go.Figure, title: str, **layout: Any) -> go.Figure:  # noqa: ANN401
    """The figure with its title, transparent, in colours for light and dark pages. `title` is markup."""
    figure.update_layout(
        template=go.layout.Template(),  # plotly's own is seven kB in every figure
        title={"text": title, "x": 0.01, "xanchor": "left", "font": {"size": 16}},
        font={"family": FONT, "size": 12, "color": TEXT},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 60, "r": 44, "t": 56, "b": 48 if layout.get("showlegend") is False else 112},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 0.01, "yref": "container", "yanchor": "bottom"},
        hovermode="closest",
        modebar={"orientation": "v", "bgcolor": "rgba(0,0,0,0)", "color": TEXT},
    )
    figure.update_layout(**layout)
    figure.update_xaxes(gridcolor=GRID, linecolor=GRID, zeroline=False)
    figure.update_yaxes(gridcolor=GRID, linecolor=GRID, zeroline=False)
    return figure


def log_ticks(low: float, high: float, most: int = 9) -> list[float]:
    """Round values between two positive ones for a logarithmic axis; plotly's own are bare digits on a short one."""
    ticks: list[float] = []
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fine, finest = ([n / 10 for n in range(10, 100, step)] for step in (5, 1))
    for mantissas in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), fine, finest):
        finer = [round(m * 10.0**d, 12) for d in decades for m in mantissas if low <= m * 10.0**d <= high]
        if len(finer) > most and len(ticks) > 2:
            break
        ticks = finer
    return ticks[:: math.ceil(len(ticks) / most)] if len(ticks) > most else ticks


def log_axis(values: Sequence[float], most: int = 9) -> dict[str, Any]:
    """Settings of a logarithmic axis that shows the drawable ones of `values`, with some room around them."""
    shown = [value for value in values if drawable(value)]
    room = max((max(shown) / min(shown)) ** 0.05, 1.15)
    return log_axis_between(min(shown) / room, max(shown) * room, most)


def log_axis_between(low: float, high: float, most: int = 9) -> dict[str, Any]:
    """Settings of a logarithmic axis with these ends, positive ones, and at most so many ticks."""
    ticks = log_ticks(low, high, most)
    return {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }


def drawable(loss: float) -> bool:
    """Whether it has a place on a logarithmic axis."""
    return math.isfinite(loss) and loss > 0


def rounded(values: Iterable[float]) -> list[float | None]:
    """To four significant digits, for a small file; None for what JSON has no word for."""
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values]
