"""The curves of one trial as an SVG image: its best epoch, and where and why it stopped. Made without a browser."""

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from search.results.trial_result import TrialResult
from search.show.learning_curves import CURVES, thinned
from search.show.theme import drawable, log_axis, marker_of

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 70, 44  # margins
INK, PALE, BEST = "#444444", "#dddddd", "#00795A"


@dataclass(frozen=True)
class Scale:
    """From an epoch (from 0) and a loss to a place on the picture; losses on a logarithmic scale."""

    epochs: int
    low: float  # exponents of ten
    high: float

    def x(self, epoch: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (epoch / max(self.epochs - 1, 1))

    def y(self, loss: float) -> float:
        share = (math.log10(loss) - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(max(share, 0.0), 1.0)


def trial_svg(trial: TrialResult, planned: int) -> str | None:
    """An SVG document with a white page of its own; None where no epoch has a finite loss. planned: epochs."""
    history, stopped = trial.history, trial.ending
    losses = [loss for name in CURVES for loss in history.get(name, ()) if drawable(loss)]
    if not losses:
        return None
    axis = log_axis(losses)
    scale = Scale(planned, *axis["range"])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="Roboto, Helvetica, Arial, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *_axes(scale, axis["tickvals"]),
        *(_line(history[name], scale, marker_of(stopped).colour, dotted=name == "train_loss") for name in CURVES),
        *_marks(history["val_loss"], scale, stopped, None if trial.run is None else trial.run.best_epoch),
        _text(LEFT, 24, f"trial {trial.number}: {stopped}", size=16),
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


def _marks(losses: Sequence[float], scale: Scale, stopped: str, best_epoch: int | None) -> Iterator[str]:
    last = len(losses) - 1
    if best_epoch is not None and drawable(losses[best_epoch]):
        yield from _mark(scale, best_epoch, losses[best_epoch], f"best: epoch {best_epoch + 1}", "★", BEST, row=0)
    if stopped != "finished" and drawable(losses[last]):
        sign, colour = "" if last == best_epoch else "✕", marker_of(stopped).colour
        yield from _mark(scale, last, losses[last], f"{stopped}: epoch {last + 1}", sign, colour, row=1)


def _mark(scale: Scale, epoch: int, loss: float, text: str, sign: str, colour: str, row: int) -> Iterator[str]:
    """A sign on the curve, and what it says above in one of two rows, turned inwards at the edges."""
    x, y = scale.x(epoch), scale.y(loss)
    anchor = "start" if x < LEFT + 80 else "end" if x > WIDTH - RIGHT - 80 else "middle"
    yield f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="{colour}" stroke-dasharray="2 3"/>'
    yield _text(x, y + 6, sign, anchor="middle", colour=colour, size=18)
    yield _text(x, TOP - 22 + 16 * row, text, anchor=anchor, colour=colour)


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = INK, size: int = 13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}">'
        f"{html.escape(text)}</text>"
    )
