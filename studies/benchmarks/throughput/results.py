"""The results of the throughput benchmark: a CSV with a line for each run, and tables in Markdown."""

import csv
import statistics
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from studies.benchmarks.throughput.contenders import CONTENDERS, OURS, OURS_BF16
from studies.benchmarks.throughput.measuring import Run
from studies.benchmarks.throughput.peers.task import NETWORKS

COLUMNS = (
    "",
    "trial-epochs/min",
    "this search",
    "in bf16",
    "CPU s per trial-epoch",
    "this search",
    "in bf16",
    "trained",
    "accuracy",
    "measuring",
)


def write(path: Path, runs: Sequence[Run]) -> None:
    """Write all runs so far, one line for each."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(field.name for field in fields(Run))
        for run in runs:
            rows.writerow(f"{value:.4g}" if isinstance(value, float) else value for value in asdict(run).values())


def tables(runs: Sequence[Run]) -> str:
    """A table for each task, in the order in which they were run."""
    parts: dict[tuple[str, str, bool], list[Run]] = {}
    for run in runs:
        parts.setdefault((run.round, run.network, run.augmentation), []).append(run)
    return "\n\n".join(f"**{_title(same)}**\n\n{table(same)}" for same in parts.values())


def _title(runs: Sequence[Run]) -> str:
    """Of runs of one task."""
    first = runs[0]
    shape = NETWORKS[first.network]
    network = f"{first.network} network ({shape['depth']} convolutions, width {shape['width']})"
    augmented = "with augmentation" if first.augmentation else "no augmentation"
    count = f"{len({run.repetition for run in runs})} repetitions, {first.cores} cores"
    others = f"other programs on {statistics.median(run.others for run in runs):.1f} of them"
    return f"{network}, {augmented}; {first.round}; {count}, {others}"


def table(runs: Sequence[Run]) -> str:
    """Runs of one task as Markdown, a line for each contender."""
    rows = [list(COLUMNS), ["---", *["---:"] * (len(COLUMNS) - 1)]]
    for contender in CONTENDERS:
        own = [run for run in runs if run.contender == contender.name]
        if own:
            rows.append([contender.label, *_cells(contender.name, own, runs)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cells(name: str, own: Sequence[Run], runs: Sequence[Run]) -> list[str]:
    faster = [ratio(runs, ours, name, "rate") for ours in (OURS, OURS_BF16)]
    leaner = [ratio(runs, ours, name, "cpu") for ours in (OURS, OURS_BF16)]
    return [
        f"{statistics.median(run.rate for run in own):.0f}",
        *("" if value is None else f"{value:.2f}x" for value in faster),
        f"{statistics.median(run.cpu for run in own):.2f}",
        *("" if value is None else f"{value:.0%}" for value in leaner),
        f"{statistics.median(run.trial_epochs for run in own):.0f} of {own[0].planned}",
        _share([run.accuracy for run in own], 1),
        _share([run.measuring for run in own], 0),
    ]


def _share(values: Sequence[float | None], digits: int) -> str:
    """Median of shares as a percentage; nothing if one of them is unknown."""
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):.{digits}%}" if len(known) == len(values) else ""


def ratio(runs: Sequence[Run], above: str, below: str, figure: str) -> float | None:
    """Median over repetitions of one contender's figure by another's in the same repetition; None without both."""
    by_turn = {(run.contender, run.repetition): getattr(run, figure) for run in runs}
    turns = {
        run.repetition for run in runs if (above, run.repetition) in by_turn and (below, run.repetition) in by_turn
    }
    if not turns:
        return None
    return statistics.median(by_turn[above, turn] / by_turn[below, turn] for turn in turns)
