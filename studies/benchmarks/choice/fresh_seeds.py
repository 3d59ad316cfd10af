"""Real searches: is what they print of their choice true of trainings with further seeds?

    python studies/benchmarks/choice/fresh_seeds.py [--searches 10] [--out DIR] [DATASET] [flags of `gapsearch run` ...]

Each search has another seed. Its choice is then trained with five further seeds by `gapsearch confirm`. The table has
the recorded loss, the expected one with its 90% interval, the mean validation loss of the further seeds, and what the
race took of the epochs. A search that has ended is not run again. DATASET is digits unless given.
"""

import argparse
import math
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from search import Result
from search.command.cli import main as gapsearch
from search.errors import UserError
from search.results.schema import StudyAttribute
from search.results.storage import open_study, storage_url


@dataclass(frozen=True)
class Row:
    """One search and its confirmation; losses in nats."""

    seed: int
    recorded: float
    expected: float
    interval: tuple[float, float]  # 90%
    fresh: float  # mean validation loss of the further seeds
    fresh_se: float  # over seeds alone: the images are those that `recorded` was measured on
    race_epochs: int
    search_epochs: int

    @property
    def within(self) -> bool:
        """Whether the interval holds the mean of the further seeds."""
        low, high = self.interval
        return low <= self.fresh <= high

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"| {self.seed} | {self.recorded:.4f} | {self.expected:.4f} | {low:.4f} to {high:.4f} | "
            f"{self.fresh:.4f} ± {self.fresh_se:.4f} | {'yes' if self.within else 'no'} | "
            f"{self.race_epochs} of {self.search_epochs} epochs |"
        )


def searched(seed: int, dataset: str, flags: list[str], folder: Path) -> Row:
    """The search with that seed and its confirmation. Raises UserError where it fails or chooses nothing."""
    if not (folder / "report.html").exists():
        _run("run", dataset, *flags, "--seed", str(seed), "--out", str(folder))
    result = Result(folder)
    best = result.best
    if best is None or best.expected is None:
        raise UserError(f"the search with seed {seed} has chosen nothing")
    if best.confirmation is None:
        _run("confirm", str(folder / "best.yaml"), *_data_root(flags))
        best = Result(folder).best
    assert best is not None
    assert best.expected is not None
    assert best.confirmation is not None
    with open_study(storage_url(folder, None), None) as study:
        race = sum(repeat["epochs"] for repeat in study.user_attrs.get(StudyAttribute.REPEATS, ()))
    low, high = best.expected["loss_interval"]
    return Row(
        seed=seed,
        recorded=best.metrics["val_loss"],
        expected=best.expected["loss"],
        interval=(low, high),
        fresh=best.confirmation["val_loss"],
        fresh_se=best.confirmation["optimism_se"] / math.sqrt(len(best.confirmation["seeds"]) + 1),
        race_epochs=race,
        search_epochs=sum(trial.epochs_run for trial in result.trials),
    )


def closing(rows: list[Row]) -> list[str]:
    """What all rows say together: how many intervals hold, and the mean bias of both figures."""
    fresh = statistics.fmean(row.fresh for row in rows)
    lines = [f"{sum(row.within for row in rows)} of {len(rows)} intervals hold the mean of the further seeds"]
    for name in ("expected", "recorded"):
        errors = [getattr(row, name) - row.fresh for row in rows]
        spread = statistics.stdev(errors) / len(errors) ** 0.5 if len(errors) > 1 else float("nan")
        lines.append(
            f"{name}: {statistics.fmean(errors) / fresh:+.0%} ± {spread / fresh:.0%} of the mean loss {fresh:.4f}"
        )
    return lines


def _data_root(flags: list[str]) -> list[str]:
    where = flags.index("--data-root") if "--data-root" in flags else None
    return [] if where is None else flags[where : where + 2]


def _run(*arguments: str) -> None:
    if code := gapsearch(arguments):
        raise UserError(f"gapsearch {arguments[0]} ended with {code}")


def main() -> int:
    """Run the searches that are missing, and print the table. Returns 2 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?", default="digits")
    parser.add_argument("--searches", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("runs/fresh_seeds"))
    options, flags = parser.parse_known_args()
    rows = []
    try:
        for seed in range(options.searches):
            rows.append(searched(seed, options.dataset, flags, options.out / str(seed)))
    except UserError as error:
        print(f"fresh_seeds: {error}", file=sys.stderr)
        return 2
    print("\n| seed | recorded | expected | 90% interval | fresh | within | race |\n|" + " --- |" * 7)
    print("\n".join([*map(str, rows), "", *closing(rows)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
