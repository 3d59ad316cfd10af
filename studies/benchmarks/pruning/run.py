"""What stopping runs early saves and costs: recorded runs are replayed as searches under many policies.

    python studies/benchmarks/pruning/run.py TABLE.jsonl [TABLE.jsonl.gz ...]

A table (JSON Lines) is recorded by record.py. For each table this prints a comparison of policies and the trade-off of
our own rules over their thresholds, and writes both beside the table as TABLE.pruning.csv. All policies see the same
searches, one run after the other. The result of a run that was stopped is its best epoch until then. A search selects
the run with the lowest validation loss. The test loss of that run is compared with the test loss that a search without
pruning selects.
"""

import argparse
import csv
import math
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import joblib

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from studies.benchmarks.pruning import optuna_policies as optuna
from studies.benchmarks.pruning.policies import DEFAULT, Oracle, Overfit, Patience, RandomPrune, no_pruning, sweep
from studies.benchmarks.pruning.replay import Policy, Table, load, searches, standard_errors

COLUMNS = {  # name in the CSV -> heading
    "epochs": "epochs used",
    "loss": "test loss",
    "loss_worst_tenth": "worst tenth",
    "front_lost": "front lost",
    "hypervolume_lost": "volume lost",
    "overfit_stopped": "overfit stopped",
    "overfit_in_time": "in time",
    "overfit_late": "late by",
    "best_lost": "best lost",
}
LEGEND = """\
epochs used: as a share of those without pruning. test loss: of the selected configuration, relative to no pruning; the
mean, and the mean of the worst tenth of the searches. front lost: runs of the useful front (within 10% of the best
loss, not dominated) that ended more than 1% worse. volume lost: hypervolume of loss and gap. overfit stopped:
overfitting runs that did not go to the end. in time: those stopped at most 20% of the planned epochs after their best.
late by: epochs from the best to the stop, on average, as a share of the planned ones. best lost: runs that were stopped
before their best epoch and are more than 1% worse for that. oracle: knows after two epochs how each run would end, and
stops all runs that would not join the useful front of the runs before them. ± is a standard error by bootstrap over
runs."""

POLICIES: dict[str, Policy] = {
    "no pruning": no_pruning,
    "Optuna Median": optuna.Pruned(optuna.median),
    "Optuna Percentile(25)": optuna.Pruned(optuna.percentile),
    "Optuna SuccessiveHalving(4)": optuna.Pruned(optuna.halving),
    "Optuna SuccessiveHalving(2)": optuna.Pruned(optuna.halving_by_two),
    "Optuna Hyperband": optuna.Pruned(optuna.hyperband),
    "Optuna Patient(Median, 3)": optuna.Pruned(optuna.patient),
    "Pareto rank, Median": optuna.ParetoMedian(),
    "patience of 3 epochs": Patience(3),
    "patience of 5 epochs": Patience(5),
    "random, same epochs": RandomPrune(DEFAULT),
    "overfitting rule alone": Overfit(),
    "our rules": DEFAULT,
    "oracle": Oracle(),
}


@dataclass(frozen=True)
class Effort:
    """How much is replayed."""

    searches: int
    runs: int  # in each search
    resamples: int  # of the table, for standard errors
    resampled_searches: int  # in each resample
    seed: int


@dataclass(frozen=True)
class Row:
    """The figures of a policy and their standard errors."""

    policy: str
    values: Mapping[str, float]
    errors: Mapping[str, float]


def replayed(name: str, table: Table, policy: Policy, effort: Effort) -> Row:
    """One row of the comparison."""
    values = searches(table, policy, effort.searches, effort.runs, effort.seed).summary()
    resampled = effort.resamples, effort.resampled_searches
    return Row(name, values, standard_errors(table, policy, *resampled, effort.runs, effort.seed))


def compare(table: Table, policies: Mapping[str, Policy], effort: Effort, executor: Executor) -> list[Row]:
    """All policies on the same searches."""
    futures: list[Future[Row]] = [
        executor.submit(replayed, name, table, policy, effort) for name, policy in policies.items()
    ]
    return [future.result() for future in futures]


def layout(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Rows as text: percentages, with their standard errors where there are any."""
    heads = ["", *(COLUMNS[name] for name in columns)]
    body = [[row.policy, *(_cell(row, name) for name in columns)] for row in rows]
    widths = [max(len(line[i]) for line in [heads, *body]) for i in range(len(heads))]
    lines = [
        "  ".join(text.ljust(width) if i == 0 else text.rjust(width) for i, (text, width) in enumerate(pairs))
        for pairs in (list(zip(line, widths, strict=True)) for line in [heads, *body])
    ]
    return "\n".join(line.rstrip() for line in lines)


def _cell(row: Row, name: str) -> str:
    value, error = row.values[name], row.errors.get(name, math.nan)
    if math.isnan(value):
        return "-"
    signed = f"{100 * value:+.1f}%" if name.startswith("loss") else f"{100 * value:.1f}%"
    return signed if math.isnan(error) or name == "loss_worst_tenth" else f"{signed} ±{100 * error:.1f}"


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """One line for each policy: shares of 1, and their standard errors (`..._se`). Unknown values are empty."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["policy", *COLUMNS, *(f"{name}_se" for name in COLUMNS)])
        for row in rows:
            numbers = [values.get(name, math.nan) for values in (row.values, row.errors) for name in COLUMNS]
            writer.writerow([row.policy, *("" if math.isnan(number) else f"{number:.5f}" for number in numbers)])


def describe(table: Table, effort: Effort) -> str:
    """A sentence on what was replayed."""
    overfitting = sum(run.overfits for run in table.runs)
    epochs = sorted({run.epochs for run in table.runs})
    planned = f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
    test = "" if table.has_test else " It has no test losses; validation losses are used in their place."
    return (
        f"{table.name}: {len(table.runs)} runs of {planned} epochs, {overfitting} of them overfitting; "
        f"{effort.searches} searches of {effort.runs} runs. "
        f"Hypervolume up to loss {table.reference[0]:.3g} and gap {table.reference[1]:.3g}.{test}"
    )


def report(table: Table, effort: Effort, executor: Executor) -> list[Row]:
    """Print both tables of one data set."""
    started = time.monotonic()
    print(describe(table, effort), end="\n\n")
    rows = compare(table, POLICIES, effort, executor)
    print(layout(rows, list(COLUMNS)), end="\n\n")
    tradeoff = compare(table, sweep(), effort, executor)
    print("Our rules over their thresholds:")
    print(layout(tradeoff, ["epochs", "loss", "loss_worst_tenth", "front_lost", "hypervolume_lost"]), end="\n\n")
    print(f"({time.monotonic() - started:.0f} s)", end="\n\n", flush=True)
    return [*rows, *tradeoff]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE")
    parser.add_argument("--searches", type=int, default=100, help="replayed under each policy (default %(default)s)")
    parser.add_argument("--runs", type=int, default=80, help="in each search, if the table has as many (%(default)s)")
    parser.add_argument("--resamples", type=int, default=20, help="of the table, for standard errors (%(default)s)")
    parser.add_argument("--baseline", type=float, help="loss of the linear baseline; a run above it is not useful")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=joblib.cpu_count(), help="processes (default %(default)s)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay every table. Returns 2 if one of them cannot be read."""
    options = parse(arguments)
    try:
        tables = [load(path, options.baseline) for path in options.tables]
    except (OSError, ValueError) as error:
        print(f"pruning: {error}", file=sys.stderr)
        return 2
    with ProcessPoolExecutor(options.workers) as executor:
        for path, table in zip(options.tables, tables, strict=True):
            runs = min(options.runs, len(table.runs))
            effort = Effort(options.searches, runs, options.resamples, max(1, options.searches // 10), options.seed)
            written = path.with_name(f"{table.name}.pruning.csv")
            write_csv(written, report(table, effort, executor))
            print(f"written: {written}", end="\n\n", flush=True)
    print(LEGEND)
    return 0


if __name__ == "__main__":
    sys.exit(main())
