"""Does it pay to predict, pause and take up again? Replays searches of four workers side by side.

    python studies/benchmarks/pruning/paused.py TABLE.jsonl [TABLE.jsonl.gz ...]

For each curve table this prints what our rules save and cost, as they are and over their threshold z, and what policies
do that pause every run, predict what it would still gain and take up the most promising one. All policies see the same
searches.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from studies.benchmarks.bootstrap import left_out_error
from studies.benchmarks.pruning.pausing import Paused
from studies.benchmarks.pruning.prediction import Gaussian, Ridge
from studies.benchmarks.pruning.replay import Figures, Policy, Table, each_search, load, pool
from studies.benchmarks.pruning.side_by_side import SideBySide

LINE = {f"our rules, z = {z}": SideBySide((("z", z),)) for z in (0.0, 0.5, 0.9, 1.25, 1.5, 2.0, 3.0, 5.0)}
COLUMNS = {  # name in the summary -> heading
    "epochs": "epochs used",
    "loss": "test loss",
    "hypervolume_lost": "volume lost",
    "kept_volume_lost": "kept volume lost",
    "front_lost": "front lost",
    "front_far": "far lost",
}
AGAINST = ("loss", "hypervolume_lost", "kept_volume_lost", "front_far")
LEGEND = """\
epochs used, test loss, volume lost and front lost as in run.py. far lost: runs of the useful front that ended more than
4% worse, two standard deviations between seeds. kept volume: of the runs alone, of all, that did not. against z: minus
that of our rules on the same searches, between the two z that use as many epochs on average. ms: of a prediction, on
average. ± is a standard error over runs: each search leaves out runs of the table."""


def paused_policies() -> dict[str, Paused]:
    """The policies that predict; new ones, as they note the time that it takes."""
    return {
        "paused, Gaussian process": Paused(Gaussian),
        "paused, two epochs first": Paused(Gaussian, first=2),
        "paused, until 30% are left": Paused(Gaussian, rest=0.3),
        "paused, until 5% are left": Paused(Gaussian, rest=0.05),
        "paused, without parameters": Paused(Gaussian, config=False),
        "paused, ridge regression": Paused(Ridge),
    }


@dataclass(frozen=True)
class Draws:
    """Which searches are replayed, and how sure their mean is."""

    searches: int
    runs: int  # in each search
    seed: int

    def replay(self, table: Table, policy: Policy) -> list[Figures]:
        return each_search(table, policy, self.searches, self.runs, self.seed)

    def error(self, table: Table, estimates: Sequence[float]) -> float:
        return left_out_error(estimates, self.runs, len(table.runs))


def rows(table: Table, draws: Draws) -> Iterator[list[str]]:
    """The rows of one table's report, each as soon as it is known."""
    line = [draws.replay(table, policy) for policy in LINE.values()]
    for name, figures in zip(LINE, line, strict=True):
        yield [name, *_figures(table, draws, figures), *[""] * len(AGAINST), ""]
    again = draws.replay(table, SideBySide(again=True))
    yield ["taken up by our rules", *_figures(table, draws, again), *_against(table, draws, again, line), ""]
    for name, policy in paused_policies().items():
        figures = draws.replay(table, policy)
        milliseconds = f"{1000 * float(np.mean(policy.seconds)):.0f}"
        yield [name, *_figures(table, draws, figures), *_against(table, draws, figures, line), milliseconds]


def _figures(table: Table, draws: Draws, figures: Sequence[Figures]) -> list[str]:
    summary, each = pool(figures).summary(), [one.summary() for one in figures]
    return [_cell(name, summary[name], draws.error(table, [one[name] for one in each])) for name in COLUMNS]


def _against(table: Table, draws: Draws, figures: Sequence[Figures], line: Sequence[Sequence[Figures]]) -> list[str]:
    """Differences from our rules, at the two neighbouring z that together use as many epochs."""
    used = [float(np.mean([one.summary()["epochs"] for one in rules])) for rules in line]
    weights = between(float(np.mean([one.summary()["epochs"] for one in figures])), used)
    cells = []
    for name in AGAINST:
        theirs = np.array([[one.summary()[name] for one in rules] for rules in line])
        differences = [one.summary()[name] for one in figures] - weights @ theirs
        cells.append(_cell("loss", float(np.mean(differences)), draws.error(table, list(differences))))
    return cells


def between(epochs: float, line: Sequence[float]) -> np.ndarray:
    """Weights of the points of a rising line that make `epochs` on average; beyond its ends, of the last point."""
    return np.array([np.interp(epochs, line, unit) for unit in np.eye(len(line))])


def _cell(name: str, value: float, error: float) -> str:
    return f"{100 * value:{'+' if name == 'loss' else ''}.1f}% ± {100 * error:.1f}"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE")
    parser.add_argument("--searches", type=int, default=50, help="replayed under each policy (default %(default)s)")
    parser.add_argument("--runs", type=int, default=80, help="in each search, if the table has as many (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay every table. Returns 2 if one of them cannot be read."""
    options = parse(arguments)
    try:
        tables = [load(path) for path in options.tables]
    except (OSError, ValueError) as error:
        print(f"paused: {error}", file=sys.stderr)
        return 2
    for table in tables:
        draws = Draws(options.searches, min(options.runs, len(table.runs)), options.seed)
        print(f"{table.name}: {len(table.runs)} runs, {draws.searches} searches of {draws.runs}", end="\n\n")
        heads = ["policy", *COLUMNS.values(), *(f"{COLUMNS[name]}, against z" for name in AGAINST), "ms"]
        print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
        for cells in rows(table, draws):
            print(f"| {' | '.join(cells)} |", flush=True)
        print()
    print(LEGEND)
    return 0


if __name__ == "__main__":
    sys.exit(main())
