"""Does every parameter act? Each parameter of the `cnn` space is swept alone, with all others held at `REFERENCE`.

    python studies/benchmarks/pruning/sweeps.py --data-root ../shared/data

A network is trained on 2,000 Fashion-MNIST images for 15 epochs and validated on 2,000 others. Its result is its best
epoch by `val_loss`, as in a search. A sweep takes up to five values over the parameter's default range. They are
equally spaced, or geometrically where the search draws on a log scale. Each value is trained with the same seeds (of
weights, shuffling, dropout and augmentation; the split stays).

A parameter acts if it moves `val_loss` or the gap by more than seeds do. The test is Tukey's honest significant
difference. It takes the largest difference between the means of two values, in units of the standard error of such a
mean (standard deviation over seeds, pooled over the values, divided by the square root of the number of seeds). It
compares that with a quantile of the studentized range, which allows for all pairs of values. The level is 5% for the
whole table: 5% divided by the number of parameters and by the two measures. The same
seed has a common effect on all values. The test leaves it in the noise, so it errs towards "no". The result holds for
this split and this reference.

sweeps.csv beside this file keeps one row per run. Only missing runs are trained: an interrupted sweep continues, and a
complete one is summarized at once. Remove the file to measure again.
"""

import argparse
import csv
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from scipy.stats import studentized_range  # scikit-learn brings it

from search.data import datasets
from search.data.tensors import DeviceData, SearchData, prepare
from search.measurement import measure
from search.training.precision import Precision
from search.training.trainer import Trainer
from spaces import cnn

DATA = "FashionMNIST"
IMAGES = 2000  # to train on, and as many to validate on
EPOCHS = 15
PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)  # in a range: 0 is its lowest value, 1 its highest
MEASURES = ("val_loss", "gap")
LEVEL = 0.05
PRECISION = Precision(bf16=True, channels_last=True)
# Weakly regularized: it overfits a little, so that a regularizer can have an effect.
REFERENCE: dict[str, Any] = {
    "depth": 4,
    "width": 24,
    "kernel_size": 3,
    "dropout": 0.1,
    "weight_decay": 0.01,
    "batch_size": 64,
    "augmentation": 0.1,
    "learning_rate": 3e-3,
}


@dataclass(frozen=True, order=True)
class Job:
    """One run to train: the reference with one parameter changed."""

    parameter: str
    value: float
    seed: int


@dataclass(frozen=True)
class Result:
    """The measurements of a run at its best epoch (from 0)."""

    val_loss: float
    gap: float
    train_loss: float
    val_accuracy: float
    best_epoch: int


@dataclass(frozen=True)
class Place:
    """Stands in for a trial: it suggests the value at the same place of every range."""

    place: float

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        value = low * (high / low) ** self.place if log else low + (high - low) * self.place
        return float(f"{value:.3g}")

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return low + step * round((self.suggest_float(name, low, high, log=log) - low) / step)


@dataclass(frozen=True)
class Effect:
    """How far a parameter moves a measure, in units of its pooled seed standard error."""

    spread: float  # the largest difference between the means of two values
    threshold: float

    @property
    def acts(self) -> bool:
        """Whether the effect is larger than that of seeds."""
        return self.spread > self.threshold


def effect(measured: np.ndarray, level: float) -> Effect:
    """Tukey's test of `measured`, shape (values, seeds), at least (2, 2): the studentized range against its quantile.

    level: the probability of a false alarm, over all pairs of values, if the parameter has no effect.
    """
    values, seeds = measured.shape
    means = measured.mean(axis=1)
    error = np.sqrt(measured.var(axis=1, ddof=1).mean() / seeds)
    spread = float((means.max() - means.min()) / error)
    return Effect(spread, float(studentized_range.ppf(1 - level, values, values * (seeds - 1))))


def grid() -> dict[str, list[float]]:
    """The values of each parameter's sweep, in ascending order."""
    configs = [cnn.suggest(Place(place)) for place in PLACES]
    return {name: sorted({config[name] for config in configs}) for name in REFERENCE}


_worker_data: DeviceData


def _initialize(data: SearchData) -> None:
    global _worker_data
    torch.set_num_threads(1)
    _worker_data = data.to(torch.device("cpu"))


def train(job: Job) -> Result:
    """Train one run and measure its best epoch."""
    config = REFERENCE | {job.parameter: job.value}
    trainer = Trainer(cnn.build, config, _worker_data, seed=job.seed, precision=PRECISION)
    epochs = [trainer.epoch() for _ in range(EPOCHS)]
    measured = [measure(epoch.train, epoch.val) for epoch in epochs]
    number, best = min(enumerate(measured), key=lambda pair: pair[1].val_loss)
    return Result(best.val_loss, best.gap, best.train_loss, best.val_accuracy, number)


def read(table: Path) -> dict[Job, Result]:
    """The runs in the table; none if there is no table."""
    if not table.exists():
        return {}
    with table.open(newline="") as file:
        _, *rows = csv.reader(file)
    return {
        Job(name, float(value), int(seed)): Result(
            float(loss), float(gap), float(train_loss), float(accuracy), int(best)
        )
        for name, value, seed, loss, gap, train_loss, accuracy, best in rows
    }


def write(table: Path, runs: dict[Job, Result]) -> None:
    """Replace the table at once: an interruption leaves the old one or the new one."""
    draft = table.with_suffix(".tmp")
    with draft.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(field.name for kind in (Job, Result) for field in fields(kind))
        for job, run in sorted(runs.items(), key=lambda pair: pair[0]):
            rows.writerow([job.parameter, *(f"{figure:.5g}" for figure in (job.value, job.seed, *astuple(run)))])
    os.replace(draft, table)


def measure_missing(jobs: list[Job], runs: dict[Job, Result], options: argparse.Namespace) -> None:
    """Train the jobs that are missing in `runs`, and add each to it and to the table."""
    missing = [job for job in jobs if job not in runs]
    source = datasets.load(DATA, "train", options.data_root)
    data = prepare(source, train_size=IMAGES, val_size=IMAGES, seed=0, flip=datasets.SOURCES[DATA].flip)
    context = multiprocessing.get_context("forkserver")
    began = time.monotonic()
    with ProcessPoolExecutor(options.workers, context, _initialize, (data,)) as pool:
        for number, (job, run) in enumerate(zip(missing, pool.map(train, missing), strict=True), start=1):
            runs[job] = run
            write(options.table, runs)
            left = (time.monotonic() - began) / number * (len(missing) - number)
            done = len(jobs) - len(missing) + number
            what = f"{job.parameter} {job.value:g}, seed {job.seed}: val_loss {run.val_loss:.3f}, gap {run.gap:.3f}"
            print(f"{done} of {len(jobs)} runs: {what}; {left / 60:.0f} min left", flush=True)


def summary(runs: dict[Job, Result], seeds: int) -> str:
    """A Markdown table: mean and standard error over seeds at each value, and the test's decision."""
    rows = [["parameter", "", *["value"] * len(PLACES), "spread", "threshold", "acts"]]
    rows += [["---"] * len(rows[0])]
    for name, values in grid().items():
        blank = [""] * (len(PLACES) - len(values))
        rows += [[f"**{name}**", "", *(f"**{value:g}**" for value in values), *blank, "", "", ""]]
        for measured in MEASURES:
            figures = [[getattr(runs[Job(name, value, seed)], measured) for seed in range(seeds)] for value in values]
            cells, decision = _judged(np.array(figures))
            rows += [["", measured, *cells, *blank, *decision]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _judged(measured: np.ndarray) -> tuple[list[str], list[str]]:
    """The cells of one sweep of one measure, shape (values, seeds), and those of its test."""
    errors = measured.std(axis=1, ddof=1) / np.sqrt(measured.shape[1])
    cells = [f"{mean:.3f} ± {error:.3f}" for mean, error in zip(measured.mean(axis=1), errors, strict=True)]
    test = effect(measured, LEVEL / len(REFERENCE) / len(MEASURES))
    return cells, [f"{test.spread:.1f}", f"{test.threshold:.1f}", "yes" if test.acts else "no"]


def main() -> None:
    """Train the runs that are missing in the table, then summarize it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--seeds", type=int, default=5, help="runs at each value, at least 2 (default: 5)")
    parser.add_argument("--workers", type=int, default=joblib.cpu_count())
    parser.add_argument("--table", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error(f"--seeds is {options.seeds}; the noise between seeds takes at least 2")

    # seed by seed, so that a sweep cut short can be summarized with fewer seeds
    jobs = [
        Job(name, value, seed) for seed in range(options.seeds) for name, values in grid().items() for value in values
    ]
    runs = {job: run for job, run in read(options.table).items() if job in jobs}
    if len(runs) < len(jobs):
        measure_missing(jobs, runs, options)
    print(summary(runs, options.seeds))


if __name__ == "__main__":
    main()
