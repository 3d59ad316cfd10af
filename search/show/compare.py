"""Searches side by side: what each chose, what to expect of it, and what it cost."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from search.choice.run import Run
from search.insight.imbalance import balanced_accuracy
from search.insight.stops import stops
from search.results.snapshot import StudySnapshot
from search.results.trial_result import TrialResult
from search.show.text import duration, short, with_error

# what makes losses comparable
SAME = ("dataset", "image_size", "data_fingerprint", "train_size", "val_size", "seed", "balance")
NONE = "-"


def compare(searches: Mapping[str, StudySnapshot]) -> list[str]:
    """A table with a column for each search, by its name, and whether their figures may be compared."""
    rows = [["", *searches], *([title, *map(cell, searches.values())] for title, cell in ROWS)]
    return [*_table(rows), "", _comparable(list(searches.values()))]


def _comparable(searches: Sequence[StudySnapshot]) -> str:
    """Only losses on the same validation images are."""
    differing = {name: [search.settings.get(name) for search in searches] for name in SAME}
    differing = {name: values for name, values in differing.items() if len(set(map(str, values))) > 1}
    if differing:
        listed = "; ".join(f"{name} {', '.join(map(short, values))}" for name, values in differing.items())
        return f"not comparable, the searches differ in their images or splits: {listed}"
    return "comparable: the same images and splits. Where the 90% intervals overlap, noise may be the difference"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """As Markdown, set in columns; the first row is the header."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _of_chosen(cell: Callable[[TrialResult], str]) -> Callable[[StudySnapshot], str]:
    """A cell on the chosen trial, where there is one."""

    def shown(search: StudySnapshot) -> str:
        chosen = search.chosen_trial
        return NONE if chosen is None or chosen.run is None else cell(chosen)

    return shown


def _of_run(cell: Callable[[Any], str]) -> Callable[[StudySnapshot], str]:
    """A cell on its run."""
    return _of_chosen(lambda chosen: cell(chosen.run))


def _expected(cell: Callable[[Mapping[str, Any]], str]) -> Callable[[StudySnapshot], str]:
    """A cell on what is expected of the chosen trial, where that is known."""
    return lambda search: NONE if search.expected is None else cell(search.expected)


def _interval(expected: Mapping[str, Any]) -> str:
    low, high = expected["loss_interval"]
    return f"{expected['loss']:.4f} ({low:.4f} to {high:.4f})"


def _expected_accuracy(expected: Mapping[str, Any]) -> str:
    return f"{expected['accuracy']:.1%}{balanced_accuracy(expected.get('balanced_accuracy'))}"


def _recorded_accuracy(run: Run) -> str:
    return f"{run.at_best.val_accuracy:.1%}{balanced_accuracy(run.at_best.val_balanced_accuracy)}"


def _data(search: StudySnapshot) -> str:
    data = search.data
    return f"{data['name']}, {data['train_size']:,} + {data['val_size']:,}" if data else NONE


def _trials(search: StudySnapshot) -> str:
    rows = stops(search)
    counts = ", ".join(f"{row.trials} {row.ending}" for row in rows)
    return f"{len(search.ended)} ({counts})" if rows else "0"


def _epochs(search: StudySnapshot) -> str:
    rows = stops(search)
    trained, saved = sum(row.trained for row in rows), sum(row.saved for row in rows)
    return f"{trained:,} of {trained + saved:,}"


ROWS: Sequence[tuple[str, Callable[[StudySnapshot], str]]] = (
    ("study", lambda search: search.name),
    ("data, train + val", _data),
    ("space", lambda search: str(search.settings.get("space", NONE))),
    ("chosen", _of_chosen(lambda chosen: f"trial {chosen.number}, {chosen.stopped}")),
    ("expected loss (90%)", _expected(_interval)),
    ("expected gap", _expected(lambda expected: f"{expected['gap']:.4f}")),
    ("expected accuracy", _expected(_expected_accuracy)),
    ("recorded val_loss", _of_run(lambda run: with_error(run.at_best.val_loss, run.at_best.val_loss_se))),
    ("recorded gap", _of_run(lambda run: with_error(run.at_best.gap, run.at_best.gap_se))),
    ("recorded accuracy", _of_run(_recorded_accuracy)),
    ("parameters", _of_run(lambda run: f"{run.parameters:,}")),
    ("linear baseline", lambda search: f"{search.constraints.baseline_loss:.4f}"),
    ("trials", _trials),
    ("epochs of trials", _epochs),
    ("epochs of the race", lambda search: f"{search.race_epochs:,}"),
    ("training of trials, summed", lambda search: duration(sum(trial.seconds or 0.0 for trial in search.ended))),
)
