"""What the terminal shows while a search runs: a live view, or plain lines where the output is no terminal."""

import sys
import time
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.choice.run import Run
from search.errors import printable
from search.measurement import History
from search.results.trial_result import TrialResult
from search.show.progress import Progress, Running, describe, duration
from search.stopping.stopped import Stopped

REFRESH_SECONDS = 0.5
FRONT_ROWS = 5
ENDED_ROWS = 4
WIDE, NARROW = 100, 60  # columns from which everything is shown, and below which only the essential is
COLOURS: dict[str, str] = {Stopped.FINISHED: "green", Stopped.OVERFIT: "bold yellow", Stopped.HOPELESS: "dim"}


class Terminal:
    """A line for each trial that ends, on `stream`."""

    def __init__(self, progress: Progress, stream: TextIO) -> None:
        self._progress, self._stream = progress, stream

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was."""

    def note(self, text: str) -> None:
        """A line of its own."""
        print(printable(text), file=self._stream, flush=True)

    def started(self, number: int) -> None:
        """A trial was handed to a worker."""
        self._progress.started(number)

    def epoch(self, number: int, history: History) -> None:
        """A running trial has measured another epoch."""
        self._progress.epoch(number, history)

    def dropped(self, number: int) -> None:
        """A running trial is queued again."""
        self._progress.drop(number)

    def ended(self, trial: TrialResult) -> None:
        """A trial has ended."""
        progress = self._progress
        progress.end(trial)
        overall = progress.summary()
        done = f"{progress.done:{len(str(progress.planned))}}/{progress.planned}"
        self.note(f"[{done}] {describe(trial)}{f'  |  {overall}' if overall else ''}")

    def tick(self) -> None:
        """Called a few times a second."""


class LiveTerminal(Terminal):
    """A view that is drawn anew in place, and leaves nothing behind when the search ends."""

    def __init__(self, progress: Progress, stream: TextIO) -> None:
        super().__init__(progress, stream)
        self._console = Console(file=stream, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._drawn_at = 0.0

    def __enter__(self) -> "LiveTerminal":
        self._live.start()
        return self

    def close(self) -> None:
        """Give the cursor back."""
        self._live.stop()

    def note(self, text: str) -> None:
        """A line above the view."""
        self._console.print(Text(printable(text)))

    def ended(self, trial: TrialResult) -> None:
        """Counted, and shown among those that ended last."""
        self._progress.end(trial)

    def tick(self) -> None:
        """Draw, twice a second at most."""
        if time.monotonic() - self._drawn_at >= REFRESH_SECONDS:
            self._drawn_at = time.monotonic()
            self._live.update(view(self._progress, self._console.width), refresh=True)


def make_terminal(progress: Progress, stream: TextIO | None = None) -> Terminal:
    """A live view on a terminal, plain lines elsewhere."""
    stream = stream or sys.stdout
    return LiveTerminal(progress, stream) if Console(file=stream).is_terminal else Terminal(progress, stream)


def view(progress: Progress, width: int) -> RenderableType:
    """The whole live view, for a terminal of that many columns."""
    wide, narrow = width >= WIDE, width < NARROW
    parts: list[RenderableType] = [_header(progress, width)]
    if progress.running:
        parts += [Text(), _running(list(progress.running.values()), progress.epochs, wide, narrow)]
    if progress.ended:
        parts += [Text(), _ended(progress.ended[-ENDED_ROWS:], wide, narrow)]
    if progress.front:
        parts += [Text(), _front(progress.front[:FRONT_ROWS], wide)]
    if progress.stops():
        parts += [Text(), Text(progress.stops(), style="dim", overflow="ellipsis", no_wrap=True)]
    return Group(*parts)


def _header(progress: Progress, width: int) -> RenderableType:
    left = progress.seconds_left()
    time_left = f"{duration(left)} left" if left is not None else f"{duration(progress.seconds_gone())} gone"
    grid = Table.grid(padding=(0, 1))
    bar = ProgressBar(
        total=progress.planned, completed=progress.done, width=max(10, min(40, width - 40)), complete_style="green"
    )
    grid.add_row(f"{progress.done} of {progress.planned} trials", bar, time_left)
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


def _ended(ended: list[TrialResult], wide: bool, narrow: bool) -> Table:
    more = (["accuracy"] if wide else []) + ([] if narrow else ["best epoch"])
    table = _table("ended", "val_loss", "gap", *more, "stopped")
    for trial in ended:
        stopped = Text(trial.ending, style=COLOURS.get(trial.ending, "red"))
        if trial.run is None:
            table.add_row(f"trial {trial.number}", *[""] * (2 + len(more)), stopped)
            continue
        at_best = trial.run.at_best
        accuracy = [f"{at_best.val_accuracy:.1%}"] if wide else []
        best = [] if narrow else [f"{trial.run.best_epoch + 1} of {trial.epochs_run}"]
        losses = _number(at_best.val_loss), _number(at_best.gap)
        table.add_row(f"trial {trial.number}", *losses, *accuracy, *best, stopped)
    return table


def _front(runs: list[Run], wide: bool) -> Table:
    table = _table("front so far", "val_loss", "gap", *(["accuracy", "parameters"] if wide else []), "fit")
    for run in runs:
        more = [f"{run.at_best.val_accuracy:.1%}", f"{run.parameters:,}"] if wide else []
        losses = _number(run.at_best.val_loss), _number(run.at_best.gap)
        table.add_row(f"trial {run.number}", *losses, *more, run.fit)
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
