"""The curves of one trial as an SVG image: its best epoch, and where and why it stopped. Made without a browser."""

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from search.results.trial_result import TrialResult
from search.show.axes import Axis, loss_axis
from search.show.learning_curves import CURVES, thinned
from search.show.theme import FONT, drawable, marker_of
from search.stopping.stopped import Stopped

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 70, 44  # margins
PAGE, INK, PALE, BEST = "#ffffff", "#444444", "#dddddd", "#00795A"
DARK = " ".join(  # CSS: what the colours are on a dark page
    f'[fill="{light}"] {{ fill: {dark} }} [stroke="{light}"] {{ stroke: {dark} }}'
    for light, dark in {PAGE: "#14171a", INK: "#e6e6e6", PALE: "#3d444d", BEST: "#2FBF95"}.items()
)
EDGE = 80  # within which a text beside the curves is turned inwards


@dataclass(frozen=True)
class Scale:
    """From an epoch (from 0) and a loss to a place on the image; losses on a logarithmic scale."""

    epochs: int  # from the left end to the right one
    low: float  # the loss at the bottom, as an exponent of ten
    high: float  # the loss at the top, likewise

    def x(self, epoch: float) -> float:
        """From the left."""
        return LEFT + (WIDTH - LEFT - RIGHT) * (epoch / max(self.epochs - 1, 1))

    def y(self, loss: float) -> float:
        """From the top."""
        share = (math.log10(loss) - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(max(share, 0.0), 1.0)


@dataclass(frozen=True)
class Mark:
    """A sign on the validation curve, and what it says above."""

    epoch: int  # from 0
    loss: float
    text: str
    sign: str
    colour: str
    row: int  # of the two above the curves, from 0


def trial_svg(trial: TrialResult, planned: int) -> str | None:
    """An SVG document with a page of its own, dark where the reader's is; None where no epoch has a finite loss.

    planned: epochs.
    """
    history = trial.history
    losses = [loss for name in CURVES for loss in history.get(name, ()) if drawable(loss)]
    if not losses:
        return None
    axis, colour = loss_axis(losses), marker_of(trial.ending).colour
    scale = Scale(planned, *axis.settings["range"])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="{FONT}" font-size="13">',
        f"<style>@media (prefers-color-scheme: dark) {{ {DARK} }}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAGE}"/>',
        *_axes(scale, axis.settings["tickvals"]),
        *(_line(history[name], scale, colour, dotted=name == "train_loss") for name in CURVES),
        *(part for mark in _marks(trial, axis) for part in _drawn(mark, scale)),
        _text(LEFT, 24, f"trial {trial.number}: {trial.ending}", size=16),
        _text(WIDTH - RIGHT, 24, "solid: validation loss, dotted: training loss", anchor="end"),
        "</svg>",
    ]
    return "\n".join(parts)


def _axes(scale: Scale, ticks: Sequence[float]) -> Iterator[str]:
    for tick in ticks:
        y = scale.y(tick)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{PALE}"/>'
        yield _text(LEFT - 8, y + 4, f"{tick:g}", anchor="end")
    for epoch in range(0, scale.epochs, max(1, math.ceil(scale.epochs / 12))):
        yield _text(scale.x(epoch), HEIGHT - BOTTOM + 18, str(epoch + 1), anchor="middle")
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "epoch", anchor="middle")
    yield f'<g transform="translate(16 {HEIGHT / 2}) rotate(-90)">{_text(0, 0, "loss (nats)", anchor="middle")}</g>'


def _line(values: Sequence[float], scale: Scale, colour: str, *, dotted: bool) -> str:
    """Interrupted where a loss cannot be drawn."""
    path, pen = [], "M"
    for epoch in thinned(values, []):
        if not drawable(values[epoch]):
            pen = "M"
            continue
        path.append(f"{pen}{scale.x(epoch):.1f} {scale.y(values[epoch]):.1f}")
        pen = "L"
    dash = ' stroke-dasharray="3 4"' if dotted else ""
    return f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'


def _marks(trial: TrialResult, axis: Axis) -> Iterator[Mark]:
    """Its best epoch, and where it was stopped; with its loss where that is beyond the axis."""
    losses = trial.history["val_loss"]
    last = len(losses) - 1
    best = None if trial.run is None else trial.run.best_epoch
    if best is not None and drawable(losses[best]):
        yield Mark(best, losses[best], f"best: epoch {best + 1}", "★", BEST, row=0)
    if trial.ending != Stopped.FINISHED and drawable(losses[last]):
        sign = "" if last == best else "✕"
        text = f"{trial.ending}: epoch {last + 1}" + (f", loss {losses[last]:.3g}" if axis.beyond(losses[last]) else "")
        yield Mark(last, losses[last], text, sign, marker_of(trial.ending).colour, row=1)


def _drawn(mark: Mark, scale: Scale) -> Iterator[str]:
    x, y = scale.x(mark.epoch), scale.y(mark.loss)
    yield f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="{mark.colour}" stroke-dasharray="2 3"/>'
    yield _text(x, y + 6, mark.sign, anchor="middle", colour=mark.colour, size=18)
    yield _text(x, TOP - 22 + 16 * mark.row, mark.text, anchor=_anchor(x), colour=mark.colour)


def _anchor(x: float) -> str:
    """Turned inwards at the edges."""
    if x < LEFT + EDGE:
        return "start"
    return "end" if x > WIDTH - RIGHT - EDGE else "middle"


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = INK, size: int = 13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}">'
        f"{html.escape(text)}</text>"
    )
