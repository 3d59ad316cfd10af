"""Do the ranges hold? What the recorded tables say of learning rate, width and weight decay.

    python studies/benchmarks/search/ranges.py [TABLE ...]

For each table: the expected loss of the 15 best recorded configurations, with one parameter set to each of some values;
then how well the sampler's Gaussian process predicts runs that it has not seen, where weight decay is replaced by the
product with the learning rate, or with the learning rate and the number of steps. ± is a standard error over splits.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from search.sampling.gaussian_process import Surrogate as Process
from studies.benchmarks.search.run import TABLES, standard_errors
from studies.benchmarks.search.surrogate import Recorded, Surrogate

BEST = 15
GRID = {
    "learning_rate": (5e-4, 7e-4, 1e-3, 1.5e-3, 2e-3, 3e-3, 5e-3),
    "width": (16, 24, 32, 40, 48),
    "weight_decay": (0.01, 0.03, 0.1, 0.3, 0.99),
}
FACTORS = {"weight decay": (), "x rate": ("learning_rate",), "x rate x steps": ("learning_rate", "batch_size")}
SPLITS = 12


def moved(surrogate: Surrogate, name: str) -> np.ndarray:
    """The geometric mean of the expected losses of the best configurations, with `name` at each value of its grid."""
    expected = [surrogate.expected(config)[0] for config in surrogate.table.configs]
    best = [surrogate.table.configs[row] for row in np.argsort(expected)[:BEST]]
    losses = [[surrogate.expected(surrogate.clipped(one | {name: value}))[0] for one in best] for value in GRID[name]]
    return np.exp(np.log(losses).mean(axis=1))


def decay_features(table: Recorded, factors: tuple[str, ...]) -> np.ndarray:
    """Features of all runs, where log weight decay has been shifted by logs of `factors`; more images, fewer steps."""
    features = table.features(table.configs).copy()
    shifted = np.log([config["weight_decay"] for config in table.configs])
    for name in factors:
        sign = -1 if name == "batch_size" else 1
        shifted = shifted + sign * np.log([config[name] for config in table.configs])
    column = list(table.distributions).index("weight_decay")
    features[:, column] = (shifted - shifted.min()) / (shifted.max() - shifted.min())
    return features


def unseen(features: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """R2 of the values of unseen runs, by a process on `size` runs; for each of `SPLITS` splits."""
    found = []
    for split in range(SPLITS):
        order = np.random.default_rng(split).permutation(len(values))
        seen, new = order[:size], order[size:]
        process = Process(features[seen], values[seen])
        error = np.square(process.expected_at(features[new]) - values[new]).sum()
        found.append(1 - error / np.square(values[new] - values[new].mean()).sum())
    return np.array(found)


def main() -> None:
    """Print what each table says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", type=Path, default=TABLES, metavar="TABLE")
    for path in parser.parse_args().tables:
        table = Recorded.read(path)
        print(f"\n{table.name}")
        surrogate = Surrogate(table)
        for name, grid in GRID.items():
            cells = [f"{value:g}: {loss:.4f}" for value, loss in zip(grid, moved(surrogate, name), strict=True)]
            print(f"  {name}: {', '.join(cells)}", flush=True)
        for target, values in zip(("log loss", "gap"), table.ends.T, strict=True):
            for size in (40, int(0.8 * len(values))):
                fits = {name: unseen(decay_features(table, f), values, size) for name, f in FACTORS.items()}
                plain = fits.pop("weight decay")
                cells = [
                    f"{name} {(fit - plain).mean():+.3f} ± {float(standard_errors(fit - plain)):.3f}"
                    for name, fit in fits.items()
                ]
                print(f"  R2 of the {target}, {size} runs seen: {plain.mean():.3f}; {'; '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
