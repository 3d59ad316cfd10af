"""Should the loss after the best temperature choose the epoch and the run, and stop runs, in place of the plain one?

    python studies/benchmarks/calibration/run.py --data FashionMNIST --data-root ../shared/data
    python studies/benchmarks/calibration/run.py --data folder --data-root CIFAR10

Late in training cross-entropy often rises by overconfidence alone, which a temperature takes away afterwards (Berta et
al. 2025, "Rethinking Early Stopping: Refine, Then Calibrate"). Random configurations of the `cnn` space are trained and
kept as rows of `runs.csv`; one that is there is not trained again. The table compares what each loss would take home,
by the test loss after the temperature and by the test accuracy.
"""

import argparse
import sys
from pathlib import Path

import optuna
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from search.data import datasets
from studies.benchmarks.calibration.choices import Run, table
from studies.benchmarks.calibration.recording import record
from studies.benchmarks.csv_rows import append, read
from studies.benchmarks.pruning.record import load, random_configs

CONFIGS = 31  # seed of the random configurations


def main() -> None:
    """Record what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=tuple(datasets.SOURCES), default="FashionMNIST")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--train-size", type=int, default=2000)
    parser.add_argument("--val-size", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("runs.csv"))
    options = parser.parse_args()

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)
    data, test = (part.to(torch.device("cpu")) for part in load(options))
    done = {int(row["seed"]) for row in read(options.csv) if row["data"] == options.data}
    for seed, config in enumerate(random_configs(options.runs, CONFIGS, {})):
        if seed not in done:
            append(options.csv, {"data": options.data, **record(config, seed, data, test, options.epochs)})
            print(f"run {seed + 1} of {options.runs}", flush=True)
    print("\n".join(table([Run.of(row) for row in read(options.csv) if row["data"] == options.data])))


if __name__ == "__main__":
    main()
