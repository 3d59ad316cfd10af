"""What training on the validation images too is worth, for how long, and whether the learning rate should fall to zero.

    python studies/benchmarks/refit.py runs/fashion_mnist/best.yaml [--seeds 5]

The configuration of a best.yaml is trained with fresh seeds in five ways, with the same seeds in each: as it was found;
and on train and validation images together, for the same number of steps or of epochs, with a constant learning rate
or with one that falls to zero over the last fifth. The table has the test loss and accuracy of each, and what differs
from the first one, paired by seed, ± a standard error over seeds.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the repository: modules are imported from there
from search.data.tensors import held_out
from search.use.refit import FIRST, Refitted, together, train
from search.use.retrain import images_of, load_sound, read_part, search_data


@dataclass(frozen=True)
class Way:
    """How the configuration is trained."""

    name: str
    more: bool  # on the validation images too
    same: str  # steps or epochs
    anneal: bool


WAYS = (
    Way("as found: train images alone", False, "epochs", False),
    Way("together, same steps", True, "steps", False),
    Way("together, same steps, annealed", True, "steps", True),
    Way("together, same epochs", True, "epochs", False),
    Way("together, same epochs, annealed", True, "epochs", True),
)


def epochs_for(epochs: int, images: int, more: int) -> int:
    """As many epochs on `more` images as have the steps of `epochs` on `images`, and one at least."""
    return max(1, round(epochs * images / more))


def figures(runs: Sequence[Refitted]) -> tuple[np.ndarray, np.ndarray]:
    """Test loss and accuracy of each seed."""
    return np.array([run.test.losses.mean() for run in runs]), np.array([run.test.correct.mean() for run in runs])


def line(name: str, runs: Sequence[Refitted], first: Sequence[Refitted]) -> str:
    """A row of the table."""
    (loss, right), (loss_before, right_before) = figures(runs), figures(first)
    cells = [
        f"{loss.mean():.4f}",
        _change(loss / loss_before - 1),
        f"{right.mean():.2%}",
        _change(right - right_before),
    ]
    return f"| {name} | {' | '.join(cells)} |"


def _change(values: np.ndarray) -> str:
    return f"{values.mean():+.2%} ± {values.std(ddof=1) / len(values) ** 0.5:.2%}"


def main() -> None:
    """Train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("best", type=Path, metavar="BEST.YAML")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()

    best = load_sound(options.best)
    root = images_of(best, options.data_root)
    data = search_data(best, root)
    test = held_out(read_part(best, "test", root), data)
    alone = replace(data, splits=replace(data.splits, val=np.arange(0)))
    both = together(data, probe=len(data.splits.probe))
    cpu = torch.device("cpu")
    unseen = test.to(cpu)
    print("| trained | test loss | against the first | accuracy | against the first |", flush=True)
    print("| --- | --- | --- | --- | --- |")
    first: list[Refitted] = []
    for way in WAYS:
        images = both if way.more else alone
        sizes = len(data.splits.train), len(images.splits.train)
        epochs = best.epochs if way.same == "epochs" else epochs_for(best.epochs, *sizes)
        seeds = [best.seed + FIRST + number for number in range(options.seeds)]
        runs = [train(best, images.to(cpu), unseen, seed, epochs, anneal=way.anneal) for seed in seeds]
        first = first or runs
        print(line(f"{way.name} ({epochs} epochs)", runs, first), flush=True)


if __name__ == "__main__":
    main()
