"""The figures of the race: tables in Markdown, and a graph."""

import math
import statistics
from collections.abc import Sequence
from html import escape

from studies.benchmarks.csv_rows import Row

FIELDS = ("dataset", "tool", "seed", "after", "took", "test_loss", "test_accuracy", "val_loss", "gap")
TITLES = {"FashionMNIST": "Fashion-MNIST", "folder": "CIFAR-10 (JPEG)"}
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 420, 300, 56, 34, 40  # of a panel of the graph, pixels
COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#8c564b")


def values(rows: Sequence[Row], dataset: str, tool: str, after: str, name: str) -> list[float]:
    """One figure of a tool, over seeds."""
    return [float(row[name]) for row in rows if (row["dataset"], row["tool"], row["after"]) == (dataset, tool, after)]


def tables(rows: Sequence[Row]) -> str:
    """Test loss of each tool after each time, and accuracy and gap after the longest; means and standard errors."""
    lines = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        own = [row for row in rows if row["dataset"] == dataset]
        times = sorted({row["after"] for row in own}, key=float)
        heads = [f"test loss after {float(after) / 60:g} min" for after in times]
        last = f"after {float(times[-1]) / 60:g} min"
        lines += ["", f"**{TITLES.get(dataset, dataset)}**", ""]
        lines += [f"| tool | {' | '.join(heads)} | accuracy {last} | gap {last} | seeds |"]
        lines += ["| --- |" + " ---: |" * (len(times) + 3)]
        for tool in dict.fromkeys(row["tool"] for row in own):
            losses = [_mean(values(own, dataset, tool, after, "test_loss"), ".3f") for after in times]
            accuracy = [100 * value for value in values(own, dataset, tool, times[-1], "test_accuracy")]
            gap = values(own, dataset, tool, times[-1], "gap")
            seeds = len({row["seed"] for row in own if row["tool"] == tool})
            cells = [*losses, _mean(accuracy, ".1f") + "%", _mean(gap, ".3f"), str(seeds)]
            lines.append(f"| {tool} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(found: Sequence[float], form: str) -> str:
    if not found:
        return "none"
    mean = format(statistics.fmean(found), form)
    return mean if len(found) < 2 else f"{mean} ± {format(statistics.stdev(found) / math.sqrt(len(found)), form)}"


def graph(rows: Sequence[Row]) -> str:
    """An SVG image: test loss against minutes, a panel for each data set."""
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    tools = list(dict.fromkeys(row["tool"] for row in rows))
    panels = [_panel(rows, dataset, tools, LEFT + number * (WIDTH + LEFT)) for number, dataset in enumerate(datasets)]
    names = [
        f'<text x="{LEFT + 12}" y="{HEIGHT + BOTTOM + 18 * number}" fill="{COLOURS[number % len(COLOURS)]}">'
        f"{escape(tool)}</text>"
        for number, tool in enumerate(tools)
    ]
    width, height = LEFT + len(datasets) * (WIDTH + LEFT), HEIGHT + BOTTOM + 18 * len(tools)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="13"><rect width="100%" height="100%" fill="white"/>{"".join([*panels, *names])}</svg>\n'
    )


def _panel(rows: Sequence[Row], dataset: str, tools: Sequence[str], left: float) -> str:
    """A line for each tool; minutes on a scale of powers of two."""
    times = sorted({row["after"] for row in rows}, key=float)
    losses = {
        tool: [(after, statistics.fmean(found)) for after in times
               if (found := values(rows, dataset, tool, after, "test_loss"))]
        for tool in tools
    }  # fmt: skip
    all_losses = [loss for line in losses.values() for _, loss in line]
    low, high = min(all_losses), max(all_losses)
    first, last = math.log(float(times[0])), math.log(float(times[-1]))

    def x(after: str) -> float:
        return left + 12 + (WIDTH - 24) * (math.log(float(after)) - first) / ((last - first) or 1)

    def y(loss: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - loss) / ((high - low) or 1)

    parts = [f'<text x="{left}" y="18">{escape(TITLES.get(dataset, dataset))}: test loss, nats</text>']
    for loss in (low, (low + high) / 2, high):
        parts.append(f'<line x1="{left}" x2="{left + WIDTH}" y1="{y(loss):.1f}" y2="{y(loss):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y(loss) + 4:.1f}" text-anchor="end">{loss:.2f}</text>')
    for after in times:
        minutes = f"{float(after) / 60:g} min"
        parts.append(f'<text x="{x(after):.1f}" y="{HEIGHT - 14}" text-anchor="middle">{minutes}</text>')
    for number, tool in enumerate(tools):
        points = " ".join(f"{x(after):.1f},{y(loss):.1f}" for after, loss in losses[tool])
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return "".join(parts)
