"""Start configurations: a default one, and some that do well on recorded data.

    python studies/benchmarks/search/starts.py

prints those that `spaces` ships, learned from all tables. In the benchmark a table's own are learned from the others.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from studies.benchmarks.search.surrogate import Config, Recorded, Surrogate

COUNT = 3  # with the default one: more of them only delay what the search learns by itself
DISTANCE = 0.4  # in the unit cube, between any two of them
DEFAULT: Config = {
    "depth": 4,
    "width": 32,
    "kernel_size": 3,
    "dropout": 0.15,
    "weight_decay": 0.05,
    "batch_size": 64,
    "augmentation": 0.2,
    "learning_rate": 1e-3,
}


def learned(surrogates: Sequence[Surrogate], count: int = COUNT) -> list[Config]:
    """The default, then recorded configurations of the lowest expected loss, over all tables, far from one another.

    The expected loss of a configuration is taken relative to the best one of each table.
    """
    configs = [config for surrogate in surrogates for config in surrogate.table.configs]
    losses = np.zeros(len(configs))
    for surrogate in surrogates:
        expected = np.array([surrogate.expected(surrogate.clipped(config))[0] for config in configs])
        losses += np.log(expected / expected.min())
    table = surrogates[0].table
    chosen = [DEFAULT]
    for row in np.argsort(losses, kind="stable"):
        points = table.features([*chosen, configs[row]])
        if len(chosen) < count and np.linalg.norm(points[:-1] - points[-1], axis=1).min() > DISTANCE:
            chosen.append(configs[row])
    return chosen


def main() -> None:
    """Print the start configurations that all tables together teach."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    tables = sorted((Path(__file__).parents[1] / "tables").glob("*_anytime.jsonl.gz"))
    for config in learned([Surrogate(Recorded.read(table)) for table in tables], count=COUNT):
        print({name: round(value, 4) for name, value in config.items()})


if __name__ == "__main__":
    main()
