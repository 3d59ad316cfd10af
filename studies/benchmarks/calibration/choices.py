"""What is taken home by the plain validation loss, and by the one after the best temperature: replayed, compared."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from studies.benchmarks.bootstrap import standard_error
from studies.benchmarks.csv_rows import Row

PLAIN, CALIBRATED = "", "_calibrated"  # what the names of curves end with
SEARCHES, SIZE, RESAMPLES = 200, 8, 100  # replayed searches, runs of each, resamples for the standard error
WITHIN = 0.02  # of the lowest loss: there the smallest gap is chosen
HEADINGS = ("chosen", "by", "n", "differs", "test loss, calibrated", "against plain", "accuracy, %", "against plain")


@dataclass(frozen=True)
class Run:
    """One recorded run: a value of each curve for each epoch."""

    curves: dict[str, np.ndarray]  # by name
    stops: dict[str, int]  # epochs that the stopping rule leaves, by the loss that it is given

    @classmethod
    def of(cls, row: Row) -> "Run":
        """From a row of the CSV file."""
        names = [name for name in row if name not in ("data", "seed", "config", "stop", "stop_calibrated")]
        stops = {kind: int(row[f"stop{kind}"]) for kind in (PLAIN, CALIBRATED)}
        return cls({name: np.array(row[name].split(), dtype=float) for name in names}, stops)

    def best_epoch(self, kind: str, epochs: int | None = None) -> int:
        """The epoch (from 0) of the lowest validation loss of that kind, among the first `epochs`."""
        return int(self.curves[f"val_loss{kind}"][:epochs].argmin())


@dataclass(frozen=True)
class Taken:
    """One epoch of one run."""

    run: Run
    epoch: int

    def value(self, curve: str) -> float:
        """Of a curve at that epoch."""
        return float(self.run.curves[curve][self.epoch])


def lowest(runs: Sequence[Run], kind: str) -> Taken:
    """The lowest loss of all runs and epochs."""
    return min(_bests(runs, kind), key=lambda one: one.value(f"val_loss{kind}"))


def smallest_gap(runs: Sequence[Run], kind: str) -> Taken:
    """The smallest gap, by that kind of loss, of the runs within 2% of the lowest loss."""
    bests = _bests(runs, kind)
    ceiling = (1 + WITHIN) * min(one.value(f"val_loss{kind}") for one in bests)
    useful = [one for one in bests if one.value(f"val_loss{kind}") <= ceiling]
    return min(useful, key=lambda one: one.value(f"val_loss{kind}") - one.value(f"train_loss{kind}"))


def _bests(runs: Sequence[Run], kind: str) -> list[Taken]:
    return [Taken(run, run.best_epoch(kind)) for run in runs]


Pairs = list[tuple[Taken, Taken]]  # by the plain loss, and by the calibrated one
Choose = Callable[[Sequence[Run], str], Taken]


def of_each_run(runs: Sequence[Run], *, stopped: bool) -> Pairs:
    """The best epoch of each run, of all its epochs or of those that the stopping rule leaves."""
    return [
        (
            Taken(run, run.best_epoch(PLAIN, run.stops[PLAIN] if stopped else None)),
            Taken(run, run.best_epoch(CALIBRATED, run.stops[CALIBRATED] if stopped else None)),
        )
        for run in runs
    ]


def of_searches(runs: Sequence[Run], choose: Choose, seed: int, searches: int) -> Pairs:
    """What each of so many searches, of eight runs drawn at random, takes home."""
    drawn = [np.random.default_rng([seed, search]).permutation(len(runs))[:SIZE] for search in range(searches)]
    chosen = [[runs[i] for i in places] for places in drawn]
    return [(choose(some, PLAIN), choose(some, CALIBRATED)) for some in chosen]


def table(runs: Sequence[Run]) -> list[str]:
    """Markdown: each choice by both losses, paired differences with standard errors over runs."""
    lines = [f"| {' | '.join(HEADINGS)} |", "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for name, stopped in (("best epoch of a run", False), ("best epoch of a stopped run", True)):
        pairs = of_each_run(runs, stopped=stopped)
        errors = [_error_of_mean(_differences(pairs, curve)) for curve in CURVES]
        lines += _lines(name, f"{len(runs)} runs", pairs, errors)
    for name, choose in (("run of lowest loss", lowest), (f"smallest gap within {WITHIN:.0%}", smallest_gap)):
        pairs = of_searches(runs, choose, 0, SEARCHES)
        lines += _lines(name, f"{SEARCHES} searches of {SIZE}", pairs, _bootstrapped(runs, choose))
    epochs = [np.mean([run.stops[kind] for run in runs]) for kind in (PLAIN, CALIBRATED)]
    whole = len(runs[0].curves["val_loss"])
    lines += [
        "",
        f"Epochs of {whole} that the stopping rule leaves: {epochs[0]:.1f} by the plain loss, {epochs[1]:.1f} by the "
        f"calibrated one.",
    ]
    return lines


CURVES = ("test_loss_calibrated", "test_accuracy")


def _differences(pairs: Pairs, curve: str) -> np.ndarray:
    return np.array([calibrated.value(curve) - plain.value(curve) for plain, calibrated in pairs])


def _error_of_mean(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def _bootstrapped(runs: Sequence[Run], choose: Choose) -> list[float]:
    """The standard errors of the mean differences over searches, by resampling the runs."""
    found = []
    for resample in range(RESAMPLES):
        places = np.random.default_rng([resample, 1]).integers(len(runs), size=len(runs))
        pairs = of_searches([runs[i] for i in places], choose, 1 + resample, SEARCHES // 4)
        found.append([_differences(pairs, curve).mean() for curve in CURVES])
    return [standard_error(column) for column in zip(*found, strict=True)]


def _lines(name: str, n: str, pairs: Pairs, errors: Sequence[float]) -> list[str]:
    differs = np.mean([(a.run is not b.run) or a.epoch != b.epoch for a, b in pairs])
    loss, accuracy = ([np.mean([one[side].value(curve) for one in pairs]) for side in (0, 1)] for curve in CURVES)
    d_loss, d_accuracy = (_differences(pairs, curve).mean() for curve in CURVES)
    return [
        f"| {name} | plain | {n} | | {loss[0]:.4f} | | {100 * accuracy[0]:.2f} | |",
        f"| | calibrated | | {differs:.0%} | {loss[1]:.4f} | {d_loss:+.4f} ± {errors[0]:.4f} | "
        f"{100 * accuracy[1]:.2f} | {100 * d_accuracy:+.2f} ± {100 * errors[1]:.2f} |",
    ]
