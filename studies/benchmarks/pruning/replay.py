"""Replay recorded runs as searches: what a policy that stops runs early would have saved, and what it would have cost.

A policy takes the runs of one search in the order in which they start, and returns the number of epochs of each.
The result of a run that was stopped is its best epoch until then: the one with the lowest validation loss so far.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from search.choice.choose import USEFUL
from studies.benchmarks.bootstrap import standard_error
from studies.benchmarks.curve_tables import read_records

RISE = 0.05  # an overfitting run ends with a validation loss this much above its best
FIRST = 0.70  # and its best epoch lies in this first part of the run
LOST = 0.01  # a run that ends worse by more than this has lost its best epoch
FAR = 0.04  # and by more than this, far: two standard deviations of the loss between seeds, 2% each
IN_TIME = (
    0.20  # of the planned epochs: a run that overfits is stopped in time if it is stopped this soon after its best
)


@dataclass(frozen=True, eq=False)
class Run:
    """The curves of one run, each of shape (epochs,); NaN where a table has no such curve."""

    train_loss: np.ndarray
    val_loss: np.ndarray
    val_loss_se: np.ndarray
    val_rise_z: np.ndarray
    test_loss: np.ndarray
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """The number of epochs planned and recorded."""
        return len(self.val_loss)

    @cached_property
    def gap(self) -> np.ndarray:
        """Validation minus training loss."""
        return self.val_loss - self.train_loss

    @cached_property
    def best_by(self) -> np.ndarray:
        """The best epoch (from 0) of the first 1, 2, ... epochs; -1 before any finite loss."""
        losses = np.where(np.isfinite(self.val_loss) & np.isfinite(self.train_loss), self.val_loss, np.inf)
        lowest = np.minimum.accumulate(losses)
        new = losses < np.concatenate([[np.inf], lowest[:-1]])
        return np.maximum.accumulate(np.where(new, np.arange(self.epochs), -1))

    def result(self, epochs: int) -> int:
        """The best of the first `epochs` epochs; -1 where none is finite."""
        return int(self.best_by[epochs - 1])

    def objectives(self, epochs: int) -> tuple[float, float]:
        """Loss and gap, 0 where it is negative, of the best of the first `epochs` epochs; infinite without one."""
        best = self.result(epochs)
        return (float(self.val_loss[best]), max(float(self.gap[best]), 0.0)) if best >= 0 else (math.inf, math.inf)

    @cached_property
    def overfits(self) -> bool:
        """Ends more than 5% above its best, training loss lower than there, and the best in the first 70%."""
        best = self.result(self.epochs)
        return bool(
            0 <= best < FIRST * self.epochs
            and self.val_loss[-1] > (1 + RISE) * self.val_loss[best]
            and self.train_loss[-1] < self.train_loss[best]
        )


@dataclass(frozen=True)
class Table:
    """The runs of one file, and the bounds that their results are compared with."""

    name: str
    runs: tuple[Run, ...]
    baseline_loss: float  # a worse run is not useful; infinite if there is no baseline
    reference: tuple[float, float]  # the loss and the gap that bound the hypervolume
    has_test: bool  # without test losses, validation losses are used in their place


def load(path: Path, baseline_loss: float | None = None) -> Table:
    """Read a curve table (JSON Lines, gzip allowed).

    Without a baseline the 90th percentile of the runs' best losses bounds the hypervolume. Raises ValueError with the
    file and the line if this is no curve table.
    """
    runs = tuple(run_of(record) for record in read_records(path))
    finished = [run for run in runs if run.result(run.epochs) >= 0]
    if len(finished) < 2:
        raise ValueError(f"{path}: {len(finished)} runs with a finite loss; a search needs at least two")
    losses, gaps = zip(*(run.objectives(run.epochs) for run in finished), strict=True)
    bound = float(np.percentile(losses, 90)) if baseline_loss is None else baseline_loss
    return Table(
        name=path.name.split(".")[0],
        runs=runs,
        baseline_loss=math.inf if baseline_loss is None else baseline_loss,
        reference=(bound, float(np.percentile(gaps, 90))),
        has_test=all(np.isfinite(run.test_loss).any() for run in finished),
    )


def run_of(record: Mapping[str, Any]) -> Run:
    """The curves of a line of a table; a curve that it lacks, or ends early, is NaN."""
    history = record["history"]
    epochs = len(history["val_loss"])

    def read(name: str) -> np.ndarray:
        values = np.full(epochs, np.nan)
        given = np.asarray(history.get(name, []), dtype=np.float64)[:epochs]  # None becomes NaN
        values[: len(given)] = given
        return values

    names = ("train_loss", "val_loss", "val_loss_se", "val_rise_z", "test_loss")
    return Run(**{name: read(name) for name in names}, config=record.get("config", {}))


Policy = Callable[[Sequence[Run], np.random.Generator], list[int]]
"""Takes the runs in the order in which they start; returns the number of epochs that each one gets."""


@dataclass(frozen=True)
class Figures:
    """What a policy saved and cost, in one search or pooled over several searches. Shares are shares of 1."""

    epochs: list[float]  # epochs used, as a share of those that no pruning uses
    loss: list[float]  # test loss of the selected run relative to no pruning
    hypervolume_lost: list[float]
    kept_volume_lost: list[float] = field(default_factory=list)  # the same, of the runs alone that are not far worse
    front: int = 0  # runs of the useful front
    front_lost: int = 0  # those of them that lost their best epoch
    front_far: int = 0  # those of them that lost it by more than two standard deviations between seeds
    overfitting: int = 0  # runs that overfit
    stopped: int = 0  # those of them that did not go to the end
    in_time: int = 0  # those of them that were stopped at most 20% of the planned epochs after their best
    late: list[float] = field(default_factory=list)  # epochs from best to stop, as a share of the planned ones
    all_runs: int = 0
    best_lost: int = 0  # runs that lost their best epoch

    def summary(self) -> dict[str, float]:
        """One number for each column; NaN where there was nothing to count."""
        worst = sorted(self.loss)[-max(1, len(self.loss) // 10) :]
        return {
            "epochs": float(np.mean(self.epochs)),
            "loss": float(np.mean(self.loss)),
            "loss_worst_tenth": float(np.mean(worst)),
            "front_lost": _share(self.front_lost, self.front),
            "front_far": _share(self.front_far, self.front),
            "hypervolume_lost": float(np.mean(self.hypervolume_lost)),
            "kept_volume_lost": float(np.mean(self.kept_volume_lost)) if self.kept_volume_lost else math.nan,
            "overfit_stopped": _share(self.stopped, self.overfitting),
            "overfit_in_time": _share(self.in_time, self.overfitting),
            "overfit_late": float(np.mean(self.late)) if self.late else math.nan,
            "best_lost": _share(self.best_lost, self.all_runs),
        }


def pool(figures: Sequence[Figures]) -> Figures:
    """The figures of several searches as those of one."""
    names = [each.name for each in fields(Figures)]
    return Figures(*(sum((getattr(one, name) for one in figures[1:]), getattr(figures[0], name)) for name in names))


def judge(table: Table, runs: Sequence[Run], given: Sequence[int]) -> Figures:
    """Compare the runs, each stopped after its number of epochs in `given`, with the same runs trained to the end."""
    whole = [run.epochs for run in runs]
    useful = useful_front(table, runs)
    overfitting = [i for i, run in enumerate(runs) if run.overfits]
    stopped = [i for i in overfitting if given[i] < whole[i]]
    late = {i: (given[i] - 1 - runs[i].result(whole[i])) / whole[i] for i in stopped}
    volume = hypervolume(table, runs, whole)
    kept = [(run, epochs) for run, epochs in zip(runs, given, strict=True) if not _lost(run, epochs, FAR)]
    kept_volume = hypervolume(table, [run for run, _ in kept], [epochs for _, epochs in kept])
    return Figures(
        epochs=[sum(given) / sum(whole)],
        loss=[selected_loss(table, runs, given) / selected_loss(table, runs, whole) - 1],
        hypervolume_lost=[1 - hypervolume(table, runs, given) / volume if volume else 0.0],
        kept_volume_lost=[1 - kept_volume / volume if volume else 0.0],
        front=len(useful),
        front_lost=sum(_lost(runs[i], given[i]) for i in useful),
        front_far=sum(_lost(runs[i], given[i], FAR) for i in useful),
        overfitting=len(overfitting),
        stopped=len(stopped),
        in_time=sum(share <= IN_TIME for share in late.values()),
        late=[share for share in late.values() if share >= 0],
        all_runs=len(runs),
        best_lost=sum(map(_lost, runs, given)),
    )


def selected_loss(table: Table, runs: Sequence[Run], given: Sequence[int]) -> float:
    """The test loss of the run with the lowest validation loss, at its best epoch.

    In a table without test losses it is the validation loss.
    """
    reached = [(run, run.result(epochs)) for run, epochs in zip(runs, given, strict=True)]
    run, best = min((pair for pair in reached if pair[1] >= 0), key=lambda pair: pair[0].val_loss[pair[1]])
    return float((run.test_loss if table.has_test else run.val_loss)[best])


def useful_front(table: Table, runs: Sequence[Run]) -> list[int]:
    """Positions of the feasible, non-dominated runs whose validation loss is within 10% of the best."""
    points = [(*run.objectives(run.epochs), i) for i, run in enumerate(runs) if run.result(run.epochs) >= 0]
    kept: list[tuple[float, float, int]] = []
    for loss, gap, i in sorted(point for point in points if point[0] <= table.baseline_loss):
        if not kept or (gap < kept[-1][1] and loss <= (1 + USEFUL) * kept[0][0]):
            kept.append((loss, gap, i))
    return [i for _, _, i in kept]


def hypervolume(table: Table, runs: Sequence[Run], given: Sequence[int]) -> float:
    """The area that the runs' results dominate, up to the reference point."""
    area, (loss_bound, gap_bound) = 0.0, table.reference
    reached = [(run, epochs) for run, epochs in zip(runs, given, strict=True) if run.result(epochs) >= 0]
    for loss, gap in sorted(run.objectives(epochs) for run, epochs in reached):
        if loss < loss_bound and gap < gap_bound:
            area += (loss_bound - loss) * (gap_bound - gap)
            gap_bound = gap
    return area


def _lost(run: Run, epochs: int, margin: float = LOST) -> bool:
    """Whether the run was stopped before its best epoch and is worse for that by more than this share of the loss."""
    best = run.result(run.epochs)
    if best < epochs:  # -1, never a finite loss, included
        return False
    reached = run.result(epochs)
    return reached < 0 or bool(run.val_loss[reached] > run.val_loss[best] + margin * abs(run.val_loss[best]))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def searches(table: Table, policy: Policy, count: int, size: int, seed: int) -> Figures:
    """Figures of `each_search`, pooled."""
    return pool(each_search(table, policy, count, size, seed))


def each_search(table: Table, policy: Policy, count: int, size: int, seed: int) -> list[Figures]:
    """`count` searches of `size` runs, drawn in random order and without replacement; the same for every policy."""
    figures = []
    for search in range(count):
        rng = np.random.default_rng([seed, search])
        runs = [table.runs[i] for i in rng.permutation(len(table.runs))[:size]]
        figures.append(judge(table, runs, policy(runs, rng)))
    return figures


def standard_errors(table: Table, policy: Policy, resamples: int, count: int, size: int, seed: int) -> dict[str, float]:
    """Standard errors of the summary, by bootstrap over runs.

    The whole replay is repeated on tables drawn from this one with replacement: many searches over the same runs are
    no independent evidence. Each resample is replayed by `count` searches. Since these are few, their own scatter
    makes the standard errors a little too large.
    """
    summaries = []
    for resample in range(resamples):
        rng = np.random.default_rng([seed, resample, 1])
        runs = tuple(table.runs[i] for i in rng.integers(len(table.runs), size=len(table.runs)))
        resampled = Table(table.name, runs, table.baseline_loss, table.reference, table.has_test)
        summaries.append(searches(resampled, policy, count, size, seed + 1 + resample).summary())
    if not summaries:
        return {}
    return {name: standard_error([summary[name] for summary in summaries]) for name in summaries[0]}
