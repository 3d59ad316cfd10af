"""What the overfitting rule keeps and saves in plain training loops, against patience: recorded loops are replayed.

    python studies/benchmarks/pruning/plain.py studies/benchmarks/tables/plain_*.jsonl.gz

The tables are recorded by record_plain.py. Every policy sees a run epoch by epoch, as its loop would show it.
"""

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from search.stopping import OverfitRule
from studies.benchmarks.bootstrap import standard_error
from studies.benchmarks.curve_tables import read_records
from studies.benchmarks.pruning.policies import Patience
from studies.benchmarks.pruning.replay import Run, run_of

KEPT = 0.005  # the best epoch is kept if the lowest validation loss until the stop is at most this much higher
RESAMPLES = 1000
COLUMNS = ("best epoch kept", "test loss", "epochs, all runs", "epochs, overfitting runs")
LEGEND = """\
best epoch kept: runs whose lowest validation loss until the stop is within 0.5% of the lowest of all epochs. test loss:
at the epoch that is kept, relative to the best one of all, on average. epochs: as a share of the planned ones. A run
overfits if it ends more than 5% above its best, with a lower training loss than there, and its best is in the first
70%. ± is a standard error by bootstrap over runs."""


@dataclass(frozen=True, eq=False)
class Loop:
    """One recorded training loop."""

    optimizer: str
    schedule: str
    run: Run
    running_loss: np.ndarray  # shape (epochs,): of the training batches, with dropout and augmentation
    learning_rate: np.ndarray  # shape (epochs,)


Policy = Callable[[Loop], int]  # returns the number of epochs that a loop trains


def load(path: Path) -> list[Loop]:
    """Read a table of record_plain.py. Raises ValueError with the file if it is none, and OSError."""
    try:
        return [
            Loop(
                record["config"]["optimizer"],
                record["config"]["schedule"],
                run_of(record),
                *(np.asarray(record["history"][name], dtype=np.float64) for name in ("running_loss", "learning_rate")),
            )
            for record in read_records(path)
        ]
    except KeyError as error:
        raise ValueError(f"{path} is no table of record_plain.py: a run has no {error}") from None


def patience(epochs: int) -> Policy:
    """Usual early stopping: end a loop so many epochs after its last new best."""
    return lambda loop: Patience(epochs)([loop.run], np.random.default_rng())[0]


@dataclass(frozen=True)
class Rule:
    """The overfitting rule as a loop calls it; without any of these, with plain floats of the train probe."""

    running: bool = False  # hand over the running loss
    images: bool = False  # hand over per-image losses
    planned: bool = False  # tell it of the last drop
    noise: bool = True  # of the curve is heeded

    def __call__(self, loop: Loop) -> int:
        """The number of epochs until it stops."""
        rule = OverfitRule(last_drop=last_drop(loop) if self.planned else 0)
        if not self.noise:  # every rise counts, if it lasts as long as that of plain floats must
            rule.patience *= 2
        train = loop.running_loss if self.running else loop.run.train_loss
        for epoch, losses in enumerate(zip(train, loop.run.val_loss, strict=True)):
            z = loop.run.val_rise_z[epoch] if self.images else math.nan if self.noise else math.inf
            if rule.update(*losses, rise_z=z).stop:
                return epoch + 1
        return loop.run.epochs


def last_drop(loop: Loop) -> int:
    """The epoch (from 0) from which a step schedule drops no more; three quarters of the epochs of a cosine."""
    if loop.schedule == "cosine":
        return 3 * loop.run.epochs // 4
    return int(np.flatnonzero(np.diff(loop.learning_rate, prepend=loop.learning_rate[0]))[-1:].sum())


POLICIES: dict[str, Policy] = {
    "patience of 5 epochs": patience(5),
    "patience of 10 epochs": patience(10),
    "patience of 20 epochs": patience(20),
    "the rule without the noise of the curve": Rule(noise=False),
    "**the rule**": Rule(),
    "the rule, given the running loss": Rule(running=True),
    "the rule, given per-image losses": Rule(images=True),
    "the rule, told of the last drop": Rule(planned=True),
}
PARTS = ("patience of 10 epochs", "**the rule**", "the rule, told of the last drop")  # shown by schedule too


def outcomes(loops: Sequence[Loop], policy: Policy) -> np.ndarray:
    """For each loop: best epoch kept (0 or 1), test loss above the best epoch's, share of epochs, overfits (0 or 1)."""
    return np.array([_outcome(loop.run, policy(loop)) for loop in loops], dtype=np.float64)


def _outcome(run: Run, given: int) -> tuple[float, ...]:
    kept, best = run.result(given), run.result(run.epochs)
    near = run.val_loss[kept] <= run.val_loss[best] + KEPT * abs(run.val_loss[best])
    return near, run.test_loss[kept] / run.test_loss[best] - 1, given / run.epochs, run.overfits


def summary(found: np.ndarray) -> list[float]:
    """One number for each column, of the `outcomes` of some loops; NaN without an overfitting one."""
    overfitting = found[found[:, 3] == 1]
    return [*found[:, :3].mean(axis=0).tolist(), overfitting[:, 2].mean() if len(overfitting) else math.nan]


def row(name: str, found: np.ndarray) -> str:
    """A line of the table, with standard errors."""
    rng = np.random.default_rng(0)
    resampled = [summary(found[rng.integers(len(found), size=len(found))]) for _ in range(RESAMPLES)]
    errors = [standard_error(values) for values in zip(*resampled, strict=True)]
    cells = [
        "-" if math.isnan(value) else f"{100 * value:{'+' if column == 'test loss' else ''}.1f}% ± {100 * error:.1f}"
        for column, value, error in zip(COLUMNS, summary(found), errors, strict=True)
    ]
    return line(name, *cells)


def line(*cells: str) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def report(name: str, loops: Sequence[Loop]) -> None:
    """Print the tables of one file: all loops, and those of each schedule and optimizer."""
    overfitting = sum(loop.run.overfits for loop in loops)
    print(f"{name}: {len(loops)} loops of {loops[0].run.epochs} epochs, {overfitting} of them overfitting", end="\n\n")
    found = {policy: outcomes(loops, called) for policy, called in POLICIES.items()}
    head = (line("", *COLUMNS), line(*["---"] * (1 + len(COLUMNS))))
    print(*head, *(row(policy, values) for policy, values in found.items()), sep="\n", end="\n\n")
    print(*head, *(row(*part) for part in parts(loops, found)), sep="\n", end="\n\n")


def parts(loops: Sequence[Loop], found: Mapping[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """The outcomes of each schedule and each optimizer, with a name."""
    kinds = {f"{loop.schedule}" for loop in loops} | {loop.optimizer for loop in loops}
    some = {kind: np.array([kind in (loop.schedule, loop.optimizer) for loop in loops]) for kind in sorted(kinds)}
    return [(f"{kind}, {int(of.sum())} loops: {name}", found[name][of]) for kind, of in some.items() for name in PARTS]


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay every table. Returns 2 if one of them cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE")
    options = parser.parse_args(arguments)
    try:
        tables = {path.name.split(".")[0]: load(path) for path in options.tables}
    except (OSError, ValueError) as error:
        print(f"plain: {error}", file=sys.stderr)
        return 2
    for name, loops in tables.items():
        report(name, loops)
    print(LEGEND)
    return 0


if __name__ == "__main__":
    sys.exit(main())
