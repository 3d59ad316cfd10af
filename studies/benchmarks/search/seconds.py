"""Does it pay to weigh what a trial costs? Searches of equal seconds on surrogates of recorded tables.

    python studies/benchmarks/search/seconds.py [--seeds 24] [--first 0] [--only NAME ...] [TABLE ...]

All searches begin with start configurations that were learned from the other tables. Each has as many seconds as it
takes until 60 random trials have ended, on average. For each table it prints the loss of what is taken home after an
eighth, a quarter, half and all of that time, how the losses differ from those of the sampler as it is, by seed, and the
hypervolume and the trials that have ended. ± is a standard error over seeds.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import optuna

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from search.sampling.gaussian_process import Surrogate
from search.sampling.sampler import ScalarizingSampler
from search.sampling.unit_cube import UnitCube
from studies.benchmarks.search.candidates import CANDIDATES
from studies.benchmarks.search.run import TABLES, TRIALS, problem, standard_errors
from studies.benchmarks.search.simulation import Simulation
from studies.benchmarks.search.starts import learned
from studies.benchmarks.search.surrogate import Config

LOOK_AT = (1 / 8, 1 / 4, 1 / 2, 1.0)  # shares of the time
RIDGE = 1e-2  # of the regression of the cost, on its quadratic terms and slopes
RANDOM_SEEDS = range(100, 104)  # of the searches that set the time


class CostWeighing(ScalarizingSampler):
    """Takes the candidate of the highest expected improvement / predicted seconds per epoch ** exponent."""

    def __init__(self, seed: int, exponent: float) -> None:
        super().__init__(seed)
        self._exponent = exponent

    def _worth(self, surrogate: Surrogate, cube: UnitCube, points: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        seconds = np.array([one.user_attrs["seconds"] / one.user_attrs["epochs_run"] for one in self._trials])
        costs = predicted_costs(cube.features(points), seconds, cube.features(candidates))
        return super()._worth(surrogate, cube, points, candidates) / costs**self._exponent


def predicted_costs(features: np.ndarray, costs: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Costs (m,) at features (m, f), by a regression of log costs (n,) on features (n, f) and their squares."""

    def terms(x: np.ndarray) -> np.ndarray:
        return np.hstack([np.ones((len(x), 1)), x, x**2])

    known, log_costs = terms(features), np.log(costs)
    ridge = RIDGE * np.eye(known.shape[1])
    ridge[0, 0] = 0.0
    found = terms(at) @ np.linalg.solve(known.T @ known + ridge, known.T @ log_costs)
    return np.exp(np.clip(found, log_costs.min() - 1, log_costs.max() + 1))


Weighing = Callable[[float], float]
"""The exponent of the cost, from the share of the time that is left."""

WEIGHINGS: dict[str, Weighing | None] = {
    "as it is": None,
    "per second": lambda left: 1.0,
    "per second to the power of the time left": lambda left: left,
}


def one_search(table: Path, name: str, seed: int, start: Sequence[Config], seconds: float) -> np.ndarray:
    """Loss, hypervolume and ended trials at each of `LOOK_AT`, (len(LOOK_AT), 3)."""
    weighing = WEIGHINGS[name]
    if weighing is None:
        search = Simulation(problem(table), ScalarizingSampler, seed, start)
    else:
        search = Simulation(
            problem(table), lambda draw: CostWeighing(draw, weighing(1 - search.now / seconds)), seed, start
        )
    return np.array(search.run_for([share * seconds for share in LOOK_AT]))


def time_of_random_trials(table: Path) -> float:
    """Mean seconds until `TRIALS` random trials have ended, in those of `epoch_cost`."""
    searches = [Simulation(problem(table), CANDIDATES["random"], seed) for seed in RANDOM_SEEDS]
    for search in searches:
        search.train(ended=TRIALS)
    return float(np.mean([search.now for search in searches]))


def row(name: str, figures: np.ndarray, plain: np.ndarray) -> str:
    """figures, plain: of this sampler and of the one as it is, (seeds, len(LOOK_AT), 3)."""
    mean, error = figures.mean(axis=0), standard_errors(figures)
    losses = [f"{loss:.4f} ± {off:.4f}" for loss, off in zip(mean[:, 0], error[:, 0], strict=True)]
    relative = 100 * np.log(figures[..., 0] / plain[..., 0])
    differences = [
        f"{d:+.2f}% ± {off:.2f}" for d, off in zip(relative.mean(axis=0), standard_errors(relative), strict=True)
    ]
    last = [f"{mean[-1, 1]:.1f} ± {error[-1, 1]:.1f}", f"{mean[-1, 2]:.0f}"]
    return f"| {' | '.join([name, *losses, *differences[1:], *last])} |"


def main() -> None:
    """Print a table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", type=Path, default=TABLES, metavar="TABLE")
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--first", type=int, default=0, help="the first seed (default %(default)s)")
    parser.add_argument("--only", nargs="+", choices=list(WEIGHINGS), default=list(WEIGHINGS), metavar="NAME")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    seeds = range(options.first, options.first + options.seeds)
    for table in options.tables:
        start = learned([problem(other).surrogate for other in TABLES if other.name != table.name])
        seconds = time_of_random_trials(table)
        print(f"\n{table.name}: seeds {seeds.start} to {seeds.stop - 1}, {seconds:.0f} seconds\n", flush=True)
        heads = [f"loss after {share:.3g}" for share in LOOK_AT] + [f"against as it is, {s:.3g}" for s in LOOK_AT[1:]]
        print(f"| sampler | {' | '.join(heads)} | hypervolume | trials |\n| --- |{' ---: |' * (len(heads) + 2)}")
        plain = np.array([one_search(table, "as it is", seed, start, seconds) for seed in seeds])
        print(row("as it is", plain, plain), flush=True)
        for name in (name for name in options.only if WEIGHINGS[name] is not None):
            figures = np.array([one_search(table, name, seed, start, seconds) for seed in seeds])
            print(row(name, figures, plain), flush=True)


if __name__ == "__main__":
    main()
