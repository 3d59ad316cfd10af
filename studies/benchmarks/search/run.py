"""Compare samplers by searches on surrogates of recorded tables.

    python studies/benchmarks/search/run.py [--seeds 40] [--only NAME ...] [--csv OUT.csv] [--to-the-end] [TABLE ...]

For each table it prints how well the surrogate predicts runs that it has not seen, and for each sampler, with and
without start configurations, the validation loss of what is taken home and the hypervolume, after 5, 12, 20, 40 and 60
trials. The start configurations are learned from the other tables. ± is a standard error over seeds.
"""

import argparse
import csv
import math
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import joblib
import numpy as np
import optuna

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from studies.benchmarks.search.candidates import CANDIDATES, SLOW
from studies.benchmarks.search.simulation import Problem, Simulation
from studies.benchmarks.search.starts import learned
from studies.benchmarks.search.surrogate import Config, Recorded, Surrogate, cross_validated

TABLES = [
    Path(__file__).parents[1] / "tables" / f"{name}_anytime.jsonl.gz" for name in ("fashion", "cifar10", "digits")
]
TRIALS, LOOK_AFTER = 60, (5, 12, 20, 40, 60)
SLOW_SEEDS = 4  # of samplers that take half a second per draw


@cache
def problem(table: Path) -> Problem:
    """The surrogate of a table; fitted once in each process."""
    return Problem.on(Surrogate(Recorded.read(table)))


def one_search(table: Path, name: str, seed: int, start: Sequence[Config], *, gives_up: bool) -> np.ndarray:
    """Loss and hypervolume after each of `LOOK_AFTER`, (len(LOOK_AFTER), 2)."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    search = Simulation(problem(table), CANDIDATES[name], seed, start, gives_up=gives_up)
    return np.array(search.run(TRIALS, LOOK_AFTER))


def rows(options: argparse.Namespace, pool: ProcessPoolExecutor, table: Path) -> list[list[str | float]]:
    """A row for each sampler, and for those of `--start` another one with start configurations."""
    others = tuple(other for other in TABLES if other.name != table.name)
    starts: list[Sequence[Config]] = [(), learned([problem(other).surrogate for other in others])]
    found: list[list[str | float]] = []
    for start in starts:
        for name in options.only or CANDIDATES:
            if start and name in SLOW:
                continue
            seeds = min(options.seeds, SLOW_SEEDS) if name in SLOW else options.seeds
            gives_up = not options.to_the_end
            jobs = [pool.submit(one_search, table, name, seed, start, gives_up=gives_up) for seed in range(seeds)]
            figures = np.array([job.result() for job in jobs])
            label = f"{name}, with a start" if start else name
            print(line(label, figures), flush=True)
            mean, error = figures.mean(axis=0), standard_errors(figures)
            found += [
                [table.name.split(".")[0], label, seeds, after, *np.stack([mean[i], error[i]], axis=1).ravel().tolist()]
                for i, after in enumerate(LOOK_AFTER)
            ]
    return found


def standard_errors(figures: np.ndarray) -> np.ndarray:
    """Over the first axis, the seeds."""
    return (
        figures.std(axis=0, ddof=1) / math.sqrt(len(figures))
        if len(figures) > 1
        else np.full(figures.shape[1:], np.nan)
    )


def line(label: str, figures: np.ndarray) -> str:
    """A row of the table in the README. figures: (seeds, len(LOOK_AFTER), 2)."""
    mean, error = figures.mean(axis=0), standard_errors(figures)
    losses = " | ".join(f"{loss:.4f}" for loss in mean[:-1, 0])
    last = f"{mean[-1, 0]:.4f} ± {error[-1, 0]:.4f} | {mean[-1, 1]:.1f} ± {error[-1, 1]:.1f}"
    return f"| {label} | {losses} | {last} | {len(figures)} |"


def main() -> None:
    """Print the tables, and write them to a CSV file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", type=Path, default=TABLES, metavar="TABLE")
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--only", nargs="+", choices=list(CANDIDATES), metavar="NAME")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--to-the-end", action="store_true", help="no run is given up as hopeless")
    parser.add_argument("--workers", type=int, default=joblib.cpu_count())
    options = parser.parse_args()

    found: list[list[str | float]] = []
    with ProcessPoolExecutor(options.workers) as pool:
        for table in options.tables:
            loss, gap = cross_validated(problem(table).surrogate.table)
            print(f"\n{table.name}: cross-validated R2 {loss:.2f} (log loss), {gap:.2f} (gap)\n", flush=True)
            print(f"| sampler | {' | '.join(f'loss after {n}' for n in LOOK_AFTER)} | hypervolume | seeds |")
            print(f"| --- |{' ---: |' * (len(LOOK_AFTER) + 2)}")
            found += rows(options, pool, table)
    if options.csv:
        with options.csv.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["table", "sampler", "seeds", "trials", "loss", "loss_se", "hypervolume", "hypervolume_se"])
            writer.writerows([*row[:4], *(float(f"{value:.5g}") for value in row[4:])] for row in found)


if __name__ == "__main__":
    main()
