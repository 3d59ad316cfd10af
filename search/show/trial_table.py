"""The table of trials, the same in `gapsearch list`, at the end of a search, and in the report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from search.choice.fit import Fit
from search.choice.run import Run
from search.errors import one_line
from search.results.trial_result import TrialResult
from search.show.text import short, with_error

Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column of a table; the rows are trials, or what is known of them."""

    title: str
    cell: Callable[[Row], str]
    text: bool = False  # words, set flush left
    least_width: int = 0  # of the terminal, in characters: `search.show.terminal` leaves the column out below
    optional: bool = False  # left out where no row has anything in it


def filled(columns: Sequence[Column[Row]], rows: Sequence[Row]) -> list[Column[Row]]:
    """Without the optional columns in which no row has anything."""
    return [column for column in columns if not column.optional or any(column.cell(row) for row in rows)]


def of_run(cell: Callable[[Run], str]) -> Callable[[TrialResult], str]:
    """A cell that is empty for trials without a run."""
    return lambda trial: "" if trial.run is None else cell(trial.run)


def _fit(run: Run) -> str:
    """A run that is infeasible but does not underfit exceeds the ceiling for the gap."""
    return run.fit if run.feasible or run.fit == Fit.UNDERFIT else f"{run.fit} (above --max-gap)"


def balanced(run: Run) -> str:
    """Its balanced accuracy; nothing where the classes are even."""
    known = run.at_best.val_balanced_accuracy
    return "" if known is None else f"{known:.1%}"


def _best_epoch(trial: TrialResult) -> str:
    return "" if trial.run is None else f"{trial.run.best_epoch + 1} of {trial.epochs_run}"


CHOSEN = Column[TrialResult]("", lambda trial: "->" if trial.chosen else "")
TRIAL = Column[TrialResult]("trial", lambda trial: str(trial.number))
STATE = Column[TrialResult]("state", lambda trial: trial.state, text=True)
BALANCED = Column("balanced", of_run(balanced), optional=True)
ACCURACY = Column("accuracy", of_run(lambda run: f"{run.at_best.val_accuracy:.1%}"))
BEST_EPOCH = Column("best epoch", _best_epoch)
FIGURES = (  # what matters most on the left: a narrow terminal cuts off what is on the right
    Column("val_loss", of_run(lambda run: with_error(run.at_best.val_loss, run.at_best.val_loss_se))),
    Column("gap", of_run(lambda run: with_error(run.at_best.gap, run.at_best.gap_se))),
    ACCURACY,
    BALANCED,
    Column("fit", of_run(_fit), text=True),
    Column[TrialResult]("stopped", lambda trial: trial.stopped or "", text=True),
    BEST_EPOCH,
    Column("parameters", of_run(lambda run: f"{run.parameters:,}" if run.parameters else "")),
)


FRONT = Column[TrialResult]("front", lambda trial: "front" if trial.front else "", text=True)


def parameter(name: str) -> Column[TrialResult]:
    """The column of a hyperparameter."""
    return Column(name, lambda trial: short(trial.params.get(name, "")))


def parameter_names(trials: Sequence[TrialResult]) -> list[str]:
    """The parameters of all trials, in the order in which they were drawn."""
    return list(dict.fromkeys(name for trial in trials for name in trial.params))


def table(trials: Sequence[TrialResult], columns: Sequence[Column[TrialResult]]) -> list[str]:
    """A header and one line for each trial."""
    columns = filled(columns, trials)
    rows = [[one_line(column.title) for column in columns]]
    rows += [[one_line(column.cell(trial)) for column in columns] for trial in trials]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return ["  ".join(_aligned(row, columns, widths)).rstrip() for row in rows]


def _aligned(row: Sequence[str], columns: Sequence[Column[TrialResult]], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if column.text else cell.rjust(width)
        for cell, column, width in zip(row, columns, widths, strict=True)
    ]
