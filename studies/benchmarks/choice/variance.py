"""Where the luck of a recorded loss comes from: the variance of losses by configuration, seed and images.

    python studies/benchmarks/choice/variance.py TABLE.jsonl.gz

TABLE holds configurations that were trained with several seeds each (pruning/record.py --again), and TABLE.npz what
each training does on each image at its best epoch. The loss of configuration c with its seed s on image i is taken as

    mean + configuration c + seed s of c + image i + (configuration c, image i) + (seed s of c, image i)

with independent random effects. Their variances come from the mean squares of a balanced analysis of variance (Searle,
Casella and McCulloch, "Variance Components", 1992, chapter 4), so they may come out below 0. Without TABLE.npz they are
taken from the mean losses on validation and on test images: what these have in common is no luck of the images.
Standard errors are by the jackknife over configurations.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from studies.benchmarks.curve_tables import read_records

Estimate = Callable[..., dict[str, float]]  # arrays with a row for each configuration -> what each effect contributes


@dataclass(frozen=True)
class Seeds:
    """Configurations that were trained equally often: losses at the best epoch."""

    repeats: tuple[int, ...]  # of each configuration the seed of the run that it repeats
    train: np.ndarray  # mean losses (configurations, seeds)
    val: np.ndarray
    test: np.ndarray
    epochs: np.ndarray  # to the best one, likewise
    val_images: np.ndarray | None  # losses (configurations, seeds, images); None where the table has none
    test_images: np.ndarray | None

    def best(self, count: int) -> "Seeds":
        """The first ones, which are those with the lowest loss when they were chosen to be trained again."""
        arrays = (self.train, self.val, self.test, self.epochs, self.val_images, self.test_images)
        return Seeds(self.repeats[:count], *(None if one is None else one[:count] for one in arrays))  # type: ignore[arg-type]


def load_seeds(table: Path) -> Seeds:
    """The trainings of a table, equally many of each configuration; those trained once alone are left out.

    Raises ValueError, KeyError and OSError where it is none, or has too few configurations or seeds.
    """
    trained: dict[int, list[Mapping[str, Any]]] = {}
    for record in sorted(read_records(table), key=lambda record: record["seed"]):  # the best configurations first
        trained.setdefault(record["repeats"], []).append(record)
    trained = {repeats: found for repeats, found in trained.items() if len(found) > 1}
    if len(trained) < 3:
        raise ValueError(f"{len(trained)} configurations have two seeds; three are needed")
    count = min(map(len, trained.values()))
    rows = [found[:count] for found in trained.values()]
    side = table.with_name(f"{table.name.split('.')[0]}.npz")
    losses = np.load(side) if side.exists() else None

    def images(end: str) -> np.ndarray | None:
        if losses is None:
            return None
        return np.array([[losses[f"{one['seed']}{end}"] for one in row] for row in rows], float)

    def at_best(name: str) -> np.ndarray:
        return np.array([[_at_best(one, name) for one in row] for row in rows])

    return Seeds(
        repeats=tuple(trained),
        train=at_best("train_loss"),
        val=at_best("val_loss"),
        test=at_best("test_loss"),
        epochs=np.array([[_best_epoch(one) + 1 for one in row] for row in rows]),
        val_images=images(""),
        test_images=images(".test"),
    )


def _at_best(record: Mapping[str, Any], name: str) -> float:
    return float(record["history"][name][_best_epoch(record)])


def _best_epoch(record: Mapping[str, Any]) -> int:
    """From 0."""
    return int(np.nanargmin(record["history"]["val_loss"]))


@dataclass(frozen=True)
class Components:
    """Variances of the effects, of one image's loss."""

    configuration: float
    seed: float
    image: float  # hard for all
    configuration_image: float
    seed_image: float  # and whatever is left

    def of_mean(self, images: int) -> dict[str, float]:
        """What each contributes to the variance of a mean over so many images."""
        shares = {"configuration": 1, "seed": 1}
        return {name: value / shares.get(name, images) for name, value in asdict(self).items()}


def components(losses: np.ndarray) -> Components:
    """The estimates from losses of shape (configurations, seeds of each, images)."""
    c, s, n = losses.shape
    run, cell = losses.mean(axis=2), losses.mean(axis=1)  # (c, s) and (c, n)
    config, image, mean = run.mean(axis=1), cell.mean(axis=0), losses.mean()
    of_config = s * n * _squares(config - mean) / (c - 1)
    of_seed = n * _squares(run - config[:, None]) / (c * (s - 1))
    of_image = c * s * _squares(image - mean) / (n - 1)
    of_cell = s * _squares(cell - config[:, None] - image + mean) / ((c - 1) * (n - 1))
    rest = losses - run[:, :, None] - cell[:, None] + config[:, None, None]
    of_rest = _squares(rest) / (c * (s - 1) * (n - 1))
    return Components(
        configuration=(of_config - of_seed - of_cell + of_rest) / (s * n),
        seed=(of_seed - of_rest) / n,
        image=(of_image - of_cell) / (c * s),
        configuration_image=(of_cell - of_rest) / s,
        seed_image=of_rest,
    )


def _squares(values: np.ndarray) -> float:
    return float(np.sum(values**2))


def by_images(losses: np.ndarray) -> dict[str, float]:
    """What each effect adds to the variance of a mean loss over the images, as a share of that loss squared."""
    return components(losses / losses.mean()).of_mean(losses.shape[2])


def by_means(losses: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """The same from mean losses (configurations, seeds), and those of the same trainings on other images."""
    one, other = losses / losses.mean(), others / others.mean()
    seeds = one.shape[1]

    def within(a: np.ndarray, b: np.ndarray) -> float:
        centred = (a - a.mean(axis=1, keepdims=True)) * (b - b.mean(axis=1, keepdims=True))
        return float(centred.sum() / (len(a) * (seeds - 1)))

    def between(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.cov(a.mean(axis=1), b.mean(axis=1))[0, 1]) - within(a, b) / seeds

    configuration, seed = between(one, other), within(one, other)
    return {
        "configuration": configuration,
        "seed": seed,
        "configuration_image": between(one, one) - configuration,
        "seed_image": within(one, one) - seed,
    }


EFFECTS = {
    "configuration": "configuration",
    "seed": "seed",
    "configuration_image": "images that suit the configuration",
    "seed_image": "images that suit the seed, and the rest",
    "image": "images that are hard for all",
}
LUCK = ("seed", "configuration_image", "seed_image")  # in a recorded loss; what is hard for all shifts all alike


def jackknife(estimate: Estimate, *losses: np.ndarray) -> dict[str, float]:
    """Standard errors of an estimate from rows of losses, one for each configuration: each is left out once."""
    count = len(losses[0])
    without = [estimate(*(np.delete(array, row, axis=0) for array in losses)) for row in range(count)]
    return {name: float(np.sqrt((count - 1) * np.var([one[name] for one in without]))) for name in without[0]}


def lines_of(split: str, estimate: Estimate, *losses: np.ndarray) -> list[str]:
    """The lines of the table for one split."""
    found, errors = estimate(*losses), jackknife(estimate, *losses)
    luck = sum(max(found[name], 0.0) for name in LUCK) or np.nan
    lines = []
    for name, value in found.items():
        variance, deviation = f"{1e4 * value:.2f} ± {1e4 * errors[name]:.2f}", np.sqrt(max(value, 0.0))
        share = f"{max(value, 0.0) / luck:.0%}" if name in LUCK else "-"
        lines.append(f"| {split} | {EFFECTS[name]} | {variance} | {deviation:.2%} | {share} |")
    return lines


def report(table: Path, top: int) -> None:
    """Print the split of the best configurations of a table, and of all."""
    every = load_seeds(table)
    counts = every.val.shape
    print(f"{table.name}: {counts[0]} configurations, {counts[1]} seeds each")
    groups = [("all", every)] if top >= counts[0] else [(f"the {top} best", every.best(top)), ("all", every)]
    for words, seeds in groups:
        print(f"\n{words}: mean validation loss {seeds.val.mean():.4f}, test loss {seeds.test.mean():.4f}\n")
        print("| loss | effect | variance, in (1% of the loss)² | deviation | share of the luck |\n|" + " --- |" * 5)
        if seeds.val_images is None or seeds.test_images is None:
            lines = lines_of("validation", by_means, seeds.val, seeds.test)
            lines += lines_of("test", by_means, seeds.test, seeds.val)
        else:
            lines = lines_of("validation", by_images, seeds.val_images) + lines_of("test", by_images, seeds.test_images)
        print("\n".join(lines))


def main() -> int:
    """Split the variance of a table. Returns 2 if it cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--top", type=int, default=20, help="configurations, the first of the table, that are the best")
    options = parser.parse_args()
    try:
        if options.top < 3:
            raise ValueError(f"--top is {options.top}; it must be at least 3")
        report(options.table, options.top)
    except (OSError, ValueError, KeyError) as error:
        print(f"variance: {options.table}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
