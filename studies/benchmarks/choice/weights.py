"""Which weights to take home: those recorded, those of the best of several fresh seeds, or all of them averaged?

    python studies/benchmarks/choice/weights.py SEEDS.jsonl.gz --recorded TABLE.jsonl.gz

SEEDS holds configurations of TABLE that were trained again with several seeds (pruning/record.py --again), SEEDS.npz
what each training does on each test image at its best epoch. The test losses of four sets of weights are compared with
the mean of k fresh trainings of the same configuration: the weights that TABLE recorded; those with the lowest
validation loss of the k; the same with the recorded ones among them; and all k, their predicted probabilities averaged.
These have the loss -log(mean of exp(-loss)) on an image, since exp(-loss) is the probability of its class; without
SEEDS.npz they are left out. ± is a standard error over configurations.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from search.measurement import standard_error
from studies.benchmarks.choice.variance import Seeds, load_seeds
from studies.benchmarks.curve_tables import read_records


def averaged_loss(losses: np.ndarray) -> float:
    """The mean loss of networks whose probabilities are averaged; losses: (networks, images)."""
    return float(-np.log(np.mean(np.exp(-losses), axis=0)).mean())


def compared(seeds: Seeds, recorded: Mapping[int, tuple[float, float]], k: int) -> dict[str, np.ndarray]:
    """Test losses relative to the mean of the first `k` fresh trainings, for each configuration.

    recorded: by seed of a run of TABLE its validation and its test loss.
    """
    rows: dict[str, list[float]] = {}
    for place, repeats in enumerate(seeds.repeats):
        val, test = seeds.val[place, :k], seeds.test[place, :k]
        recorded_val, recorded_test = recorded[repeats]
        best = test[val.argmin()]
        found = {
            "recorded": recorded_test,
            f"best of {k} fresh by validation": best,
            f"best of {k} fresh and the recorded": recorded_test if recorded_val < val.min() else best,
        }
        if seeds.test_images is not None:
            found[f"{k} fresh, averaged"] = averaged_loss(seeds.test_images[place, :k])
        for name, loss in found.items():
            rows.setdefault(name, []).append(loss / test.mean() - 1)
    return {name: np.array(values) for name, values in rows.items()}


def read_recorded(table: Path) -> dict[int, tuple[float, float]]:
    """By seed, the validation and the test loss of each run at its best epoch. Raises as `read_records`."""
    found = {}
    for record in read_records(table):
        history = record["history"]
        best = int(np.nanargmin(history["val_loss"]))
        found[record["seed"]] = history["val_loss"][best], history["test_loss"][best]
    return found


def report(table: Path, recorded: Path, top: int) -> None:
    """Print the comparison, of the best configurations of a table alone."""
    seeds = load_seeds(table).best(top)
    count, most = seeds.val.shape[:2]
    print(f"{table.name}: {count} configurations, {most} seeds each\n")
    print("| weights | test loss | lower for |\n| --- | --- | --- |")
    for k in range(2, most + 1):
        for name, values in compared(seeds, read_recorded(recorded), k).items():
            mean, error = values.mean(), standard_error(values)
            if name != "recorded" or k == most:
                print(f"| {name} | {mean:+.2%} ± {error:.2%} | {np.sum(values < 0)} of {count} |")


def main() -> int:
    """Compare the weights of a table. Returns 2 if it cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, metavar="SEEDS")
    parser.add_argument("--recorded", type=Path, required=True, metavar="TABLE")
    parser.add_argument("--top", type=int, default=20, help="configurations, the first of SEEDS, that are the best")
    options = parser.parse_args()
    try:
        report(options.table, options.recorded, options.top)
    except (OSError, ValueError, KeyError) as error:
        print(f"weights: {options.table}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
