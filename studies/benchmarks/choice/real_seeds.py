"""The race of the finalists and the printed figure, replayed on real trainings with several seeds.

    python studies/benchmarks/choice/real_seeds.py TABLE.jsonl.gz [--searches N]

TABLE holds configurations that were trained with five seeds each or more (pruning/record.py --again), TABLE.npz what a
training does on each validation and test image. No search and no rule read the test images, and the validation images
only picked the best epoch; so both are shuffled together. A search draws four fifths of the configurations, as many
images as there are validation images, and an order of the seeds of each configuration: the first is the recorded one,
two are for the rounds of the race, one is unseen, and the rest tell on the images that were not drawn what the
configuration is worth. Nothing is simulated but the order. `regret` is left out: the best of several measured worths
would be a lucky one. The best finalist by its own worth, which is told, is lucky likewise: no choice among the
finalists comes below it.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from search.choice.fit import Fit
from search.choice.race import FIRST_UNSEEN, Race, Training, mean_images
from search.choice.run import Run
from search.measurement import Measurement, standard_error
from studies.benchmarks.choice.raced_search import NO_RACE, RUNS, Search, Trained, lines, measured, play
from studies.benchmarks.choice.variance import Seeds, load_seeds

OURS = "3 at least, 2 rounds"
POLICIES = {NO_RACE: Race(rounds=0, unseen=0), OURS: Race(rounds=2, unseen=1)}
USED = 4  # seeds: the recorded one, two rounds, an unseen one
DRAWN = 0.8  # of the configurations
EPOCHS = 30  # planned of a run


@dataclass(frozen=True)
class Trainings:
    """Real trainings. numbers of configurations and seeds count from 0."""

    runs: tuple[tuple[Run, ...], ...]  # by configuration and seed
    losses: np.ndarray  # (configurations, seeds, validation and test images)
    val_images: int

    @classmethod
    def of(cls, seeds: Seeds) -> "Trainings":
        """Raises ValueError where there are no losses of single images, or too few seeds."""
        if seeds.val_images is None or seeds.test_images is None:
            raise ValueError("it has no losses of single images beside it (.npz)")
        if seeds.val.shape[1] <= USED:
            raise ValueError(f"it has {seeds.val.shape[1]} seeds of each configuration; {USED + 1} are needed")
        losses = np.concatenate([seeds.val_images, seeds.test_images], axis=2)
        runs = tuple(
            tuple(_run(number, seeds, number, seed) for seed in range(losses.shape[1])) for number in range(len(losses))
        )
        return cls(runs, losses, seeds.val_images.shape[2])

    def search(self, seed: int) -> Search:
        """A search whose draws come from `seed`."""
        rng = np.random.default_rng(seed)
        count, of_each, images = self.losses.shape
        numbers = rng.permutation(count)[: int(DRAWN * count)]
        orders = np.array([rng.permutation(of_each) for _ in range(count)])
        shuffled = rng.permutation(images)
        drawn, new = shuffled[: self.val_images], shuffled[self.val_images :]

        def trained(training: Training) -> Trained:
            number, index = training
            chosen = orders[number, USED - 1 if index == FIRST_UNSEEN else index]
            losses = self.losses[number, chosen, drawn]
            return measured(self.runs[number][chosen], losses), losses

        spare = np.take_along_axis(self.losses[:, :, new], orders[:, USED:, None], axis=1)
        worth = spare.mean(axis=(1, 2))
        return Search(map(int, numbers), trained, dict(enumerate(worth)), RUNS * EPOCHS, _worth_se(spare))


def _run(number: int, seeds: Seeds, row: int, seed: int) -> Run:
    at_best = Measurement(
        train_loss=float(seeds.train[row, seed]),
        val_loss=float(seeds.val[row, seed]),
        train_accuracy=0.0,
        val_accuracy=0.0,
        val_loss_se=0.0,
        gap_se=standard_error(seeds.val_images[row, seed]),  # type: ignore[index]
    )
    return Run(number, at_best, int(seeds.epochs[row, seed]) - 1, 0, Fit.GOOD, feasible=True)


def _worth_se(spare: np.ndarray) -> float:
    """Standard error of a worth, pooled over configurations. spare: losses (configurations, seeds, images).

    Seeds and images are taken as independent; the images' part is that of the mean over seeds.
    """
    _, of_each, images = spare.shape
    by_seed = spare.mean(axis=2).var(axis=1, ddof=1).mean() / of_each if of_each > 1 else 0.0
    by_image = spare.mean(axis=1).var(axis=1, ddof=1).mean() / images
    return float(np.sqrt(by_seed + by_image))


def limits(searches: Iterable[Search]) -> dict[str, np.ndarray]:
    """The worth of what a race might have chosen, beside that of the lowest recorded loss, in each search."""
    found: dict[str, list[float]] = {"lowest mean of those left": [], "best finalist, by its own worth": []}
    for search in searches:
        standing, _ = search.race(POLICIES[OURS])
        means = mean_images(search.images, {placed.trial: placed.rounds for placed in standing.placed})
        lowest = min(search.runs, key=lambda run: run.at_best.val_loss)
        left = min(standing.left, key=lambda run: means[run.number].mean())
        best = min(standing.finalists, key=lambda run: search.worth[run.number])
        for worths, run in zip(found.values(), (left, best), strict=True):
            worths.append(search.worth[run.number] / search.worth[lowest.number] - 1)
    return {name: np.array(worths) for name, worths in found.items()}


def report(table: Path, searches: int) -> None:
    """Print both tables, and what another choice would have come to."""
    trainings = Trainings.of(load_seeds(table))
    count, of_each, _ = trainings.losses.shape
    chosen, figures = play(map(trainings.search, range(searches)), POLICIES, OURS)
    drawn = f"{int(DRAWN * count)} of {count} configurations"
    print(f"{table.name}: {searches} searches of {drawn}, {of_each} seeds each\n")
    print("\n".join(lines(chosen, figures, regret=False)))
    for name, worths in limits(map(trainings.search, range(searches))).items():
        print(f"{name}: {worths.mean():+.2%} ± {standard_error(worths):.2%} beside the lowest loss")


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay searches on the trainings of a table. Returns 2 if it cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--searches", type=int, default=1000)
    options = parser.parse_args(arguments)
    try:
        report(options.table, options.searches)
    except (OSError, ValueError, KeyError) as error:
        print(f"real_seeds: {options.table}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
