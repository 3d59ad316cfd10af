"""What the terminal shows while a search runs: a live view, or plain lines where the output is no terminal."""

import logging
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.choice.run import Run
from search.log import console
from search.measurement import History
from search.results.trial_result import TrialResult
from search.show.progress import Progress, Running, describe
from search.show.text import duration
from search.show.trial_table import ACCURACY, BALANCED, BEST_EPOCH, Column, balanced, filled, of_run
from search.stopping.stopped import Stopped

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 0.5
NOTICE_SECONDS = 600.0  # of silence, after which a notice is shown again
FRONT_ROWS = 5
NARROW, WIDE = 60, 100  # width, in characters, below which only the essential is shown, and from which everything is
COLOURS: dict[str, str] = {Stopped.FINISHED: "green", Stopped.OVERFIT: "bold yellow", Stopped.HOPELESS: "dim"}

ENDED: tuple[Column[TrialResult], ...] = (
    Column("val_loss", of_run(lambda run: f"{run.at_best.val_loss:.4f}")),
    Column("gap", of_run(lambda run: f"{run.at_best.gap:.4f}")),
    replace(ACCURACY, least_width=WIDE),
    replace(BALANCED, least_width=WIDE),
    replace(BEST_EPOCH, least_width=NARROW),
    Column("stopped", lambda trial: f"[{COLOURS.get(trial.ending, 'red')}]{trial.ending}[/]", text=True),
)
FRONT: tuple[Column[Run], ...] = (
    Column("val_loss", lambda run: f"{run.at_best.val_loss:.4f}"),
    Column("gap", lambda run: f"{run.at_best.gap:.4f}"),
    Column("accuracy", lambda run: f"{run.at_best.val_accuracy:.1%}", least_width=WIDE),
    Column("balanced", balanced, least_width=WIDE, optional=True),
    Column("parameters", lambda run: f"{run.parameters:,}", least_width=WIDE),
    Column("fit", lambda run: run.fit, text=True),
)

Row = TypeVar("Row", Running, TrialResult, Run)


class Terminal:
    """A line for each trial that ends."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._noticed: dict[str, float] = {}  # what was said again and again, and when last

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was."""

    def note(self, text: str) -> None:
        """A line of its own."""
        logger.info(text)

    def notice(self, text: str) -> None:
        """A line that is told again and again while its cause lasts, of files for example: it is shown once."""
        now = time.monotonic()
        if now - self._noticed.get(text, -math.inf) > NOTICE_SECONDS:
            self.note(text)
        self._noticed[text] = now

    def started(self, number: int, repeat: int = 0, epochs: int | None = None) -> None:
        """A trial was handed to a worker; see `Progress.started`."""
        self._progress.started(number, repeat, epochs)

    def epoch(self, number: int, history: History, repeat: int = 0) -> None:
        """A running trial has measured another epoch."""
        self._progress.epoch(number, history, repeat)

    def dropped(self, number: int, repeat: int = 0) -> None:
        """A running trial is queued again, or a repeat has ended."""
        self._progress.drop(number, repeat)

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

    def __init__(self, progress: Progress) -> None:
        super().__init__(progress)
        self._live = Live(console=console(), auto_refresh=False, transient=True)
        self._drawn_at = 0.0

    def __enter__(self) -> "LiveTerminal":
        self._live.start()
        return self

    def close(self) -> None:
        """Give the cursor back."""
        self._live.stop()

    def ended(self, trial: TrialResult) -> None:
        """Counted, and shown among those that ended last."""
        self._progress.end(trial)

    def tick(self) -> None:
        """Draw, twice a second at most."""
        if time.monotonic() - self._drawn_at >= REFRESH_SECONDS:
            self._drawn_at = time.monotonic()
            self._live.update(view(self._progress, console().width), refresh=True)


def make_terminal(progress: Progress) -> Terminal:
    """A live view on a terminal that can draw it, plain lines elsewhere: `FORCE_COLOR` makes a log no terminal."""
    screen = console()
    live = sys.stdout.isatty() and screen.is_terminal and not screen.is_dumb_terminal
    return LiveTerminal(progress) if live else Terminal(progress)


def view(progress: Progress, width: int) -> RenderableType:
    """The whole live view, for a terminal of that many characters."""
    parts: list[RenderableType] = [_header(progress, width)]
    if progress.running:
        parts += [Text(), _table("running", list(progress.running.values()), RUNNING, width)]
    if progress.last:
        parts += [Text(), _table("ended", list(progress.last), ENDED, width)]
    if on_front := progress.front:
        parts += [Text(), _table("front so far", on_front[:FRONT_ROWS], FRONT, width)]
    if stops := progress.stops():
        parts += [Text(), Text(stops, style="dim", overflow="ellipsis", no_wrap=True)]
    return Group(*parts)


def _header(progress: Progress, width: int) -> RenderableType:
    left = progress.seconds_left()
    pace = f"{duration(progress.seconds_gone())} gone" if left is None else f"{duration(left)} left"
    bar = ProgressBar(
        total=progress.planned, completed=progress.done, width=max(10, min(40, width - 40)), complete_style="green"
    )
    grid = Table.grid(padding=(0, 1))
    grid.add_row(f"{progress.done} of {progress.planned} trials", bar, pace)
    return grid


def _last(trial: Running, name: str) -> str:
    return f"{trial.history[name][-1]:.4f}" if trial.epochs else ""


def _lowest(trial: Running) -> str:
    if not trial.epochs:
        return ""
    losses = trial.history["val_loss"]
    lowest = min(losses)
    return f"{lowest:.4f} at {losses.index(lowest) + 1}"


RUNNING: tuple[Column[Running], ...] = (
    Column("epoch", lambda trial: f"{trial.epochs}/{trial.planned}"),
    Column("train_loss", lambda trial: _last(trial, "train_loss"), least_width=WIDE),
    Column("val_loss", lambda trial: _last(trial, "val_loss")),
    Column("gap", lambda trial: _last(trial, "gap")),
    Column("best", _lowest, least_width=NARROW),
)


def _table(first: str, rows: Sequence[Row], columns: Sequence[Column[Row]], width: int) -> Table:
    """A row for each trial; those columns that suit a terminal of that width."""
    shown = [column for column in filled(columns, rows) if width >= column.least_width]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", show_edge=False)
    table.add_column(first, no_wrap=True, min_width=9)
    for column in shown:
        table.add_column(column.title, justify="left" if column.text else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.name if isinstance(row, Running) else f"trial {row.number}", *(column.cell(row) for column in shown)
        )
    return table
