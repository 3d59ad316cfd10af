"""What the terminal shows while a search runs: a live view, or plain lines where the output is no terminal."""

import sys
import time
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.choice.run import Run
from search.measurement import History
from search.show.progress import Running, Tally, describe, duration
from search.stopping.stopped import Stopped
from search.training.trial import Outcome

REFRESH_SECONDS = 0.5
FRONT_ROWS = 5
ENDED_ROWS = 4
WIDE, NARROW = 100, 60  # columns from which everything is shown, and below which only the essential is
COLOURS = {Stopped.FINISHED: "green", Stopped.OVERFIT: "bold yellow", Stopped.HOPELESS: "dim"}


class Progress:
    """A line for each trial that ends, on `stream`."""

    def __init__(self, tally: Tally, stream: TextIO) -> None:
        self._tally, self._stream = tally, stream

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was."""

    def note(self, text: str) -> None:
        """A line of its own."""
        print(text, file=self._stream, flush=True)

    def started(self, number: int) -> None:
        """A trial was handed to a worker."""
        self._tally.started(number)

    def epoch(self, number: int, history: History) -> None:
        """A running trial has measured another epoch."""
        self._tally.epoch(number, history)

    def dropped(self, number: int) -> None:
        """A running trial is queued again."""
        self._tally.drop(number)

    def ended(self, outcome: Outcome, run: Run | None) -> None:
        """A trial has ended; `run` is given where it counts as a result."""
        self._tally.end(outcome, run)
        tally = self._tally
        parts = [] if tally.best is None else [f"best {tally.best.val_loss:.4f} (gap {tally.best.gap:.4f})"]
        left = tally.seconds_left()
        parts += [part for part in (tally.stops(), "" if left is None else f"{duration(left)} left") if part]
        overall = "  |  " + "; ".join(parts) if parts else ""
        self.note(f"[{tally.done:{len(str(tally.planned))}}/{tally.planned}] {describe(outcome)}{overall}")

    def tick(self) -> None:
        """Called a few times a second."""


class LiveProgress(Progress):
    """A view that is drawn anew in place, and leaves nothing behind when the search ends."""

    def __init__(self, tally: Tally, stream: TextIO) -> None:
        super().__init__(tally, stream)
        self._console = Console(file=stream, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._drawn_at = 0.0

    def __enter__(self) -> "LiveProgress":
        self._live.start()
        return self

    def close(self) -> None:
        """Give the cursor back."""
        self._live.stop()

    def note(self, text: str) -> None:
        """A line above the view."""
        self._console.print(Text(text))

    def ended(self, outcome: Outcome, run: Run | None) -> None:
        """Counted, and shown among those that ended last."""
        self._tally.end(outcome, run)

    def tick(self) -> None:
        """Draw, twice a second at most."""
        if time.monotonic() - self._drawn_at >= REFRESH_SECONDS:
            self._drawn_at = time.monotonic()
            self._live.update(view(self._tally, self._console.width), refresh=True)


def make_progress(tally: Tally, stream: TextIO | None = None) -> Progress:
    """A live view on a terminal, plain lines elsewhere."""
    stream = stream or sys.stdout
    return LiveProgress(tally, stream) if Console(file=stream).is_terminal else Progress(tally, stream)


def view(tally: Tally, width: int) -> RenderableType:
    """The whole live view, for a terminal of that many columns."""
    wide, narrow = width >= WIDE, width < NARROW
    parts: list[RenderableType] = [_header(tally, width)]
    if tally.running:
        parts += [Text(), _running(list(tally.running.values()), tally.epochs, wide, narrow)]
    if tally.ended:
        parts += [Text(), _ended(tally.ended[-ENDED_ROWS:], wide, narrow)]
    if tally.front:
        parts += [Text(), _front(tally.front[:FRONT_ROWS], wide)]
    if tally.stops():
        parts += [Text(), Text(tally.stops(), style="dim", overflow="ellipsis", no_wrap=True)]
    return Group(*parts)


def _header(tally: Tally, width: int) -> RenderableType:
    left = tally.seconds_left()
    time_left = f"{duration(left)} left" if left is not None else f"{duration(tally.seconds_gone())} gone"
    grid = Table.grid(padding=(0, 1))
    bar = ProgressBar(
        total=tally.planned, completed=tally.done, width=max(10, min(40, width - 40)), complete_style="green"
    )
    grid.add_row(f"{tally.done} of {tally.planned} trials", bar, time_left)
    return grid


def _running(running: list[Running], epochs: int, wide: bool, narrow: bool) -> Table:
    train_loss, best = (["train_loss"] if wide else []), ([] if narrow else ["best"])
    table = _table("running", "epoch", *train_loss, "val_loss", "gap", *best)
    for trial in running:
        history = trial.history
        if not history:
            table.add_row(f"trial {trial.number}", f"0/{epochs}")
            continue
        lowest = min(history["val_loss"])
        train = [_number(history["train_loss"][-1])] if wide else []
        best = [] if narrow else [f"{_number(lowest)} at {history['val_loss'].index(lowest) + 1}"]
        table.add_row(
            f"trial {trial.number}",
            f"{trial.epochs}/{epochs}",
            *train,
            _number(history["val_loss"][-1]),
            _number(history["gap"][-1]),
            *best,
        )
    return table


def _ended(ended: list[Outcome], wide: bool, narrow: bool) -> Table:
    more = (["accuracy"] if wide else []) + ([] if narrow else ["best epoch"])
    table = _table("ended", "val_loss", "gap", *more, "stopped")
    for outcome in ended:
        style = COLOURS.get(outcome.stopped, "red")
        stopped = Text(outcome.stopped, style=style)
        if outcome.best_epoch is None:
            table.add_row(f"trial {outcome.number}", *[""] * (2 + len(more)), stopped)
            continue
        values: dict[str, Any] = {name: curve[outcome.best_epoch] for name, curve in outcome.history.items()}
        accuracy = [f"{values['val_accuracy']:.1%}"] if wide else []
        best = [] if narrow else [f"{outcome.best_epoch + 1} of {len(outcome.history['val_loss'])}"]
        losses = _number(values["val_loss"]), _number(values["gap"])
        table.add_row(f"trial {outcome.number}", *losses, *accuracy, *best, stopped)
    return table


def _front(runs: list[Run], wide: bool) -> Table:
    table = _table("front so far", "val_loss", "gap", *(["accuracy", "parameters"] if wide else []), "fit")
    for run in runs:
        more = [f"{run.val_accuracy:.1%}", f"{run.parameters:,}"] if wide else []
        table.add_row(f"trial {run.number}", _number(run.val_loss), _number(run.gap), *more, run.fit)
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", show_edge=False)
    table.add_column(first, no_wrap=True, min_width=9)
    for name in others:
        text = name in ("stopped", "fit")
        table.add_column(name, justify="left" if text else "right", no_wrap=True)
    return table


def _number(value: float) -> str:
    return f"{value:.4f}"
