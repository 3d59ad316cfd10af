"""The race of the finalists and the figure that a search prints, on simulated searches.

    python studies/benchmarks/choice/race.py TABLE.jsonl.gz [--searches N] [--seed-noise SHARE]

A world is made from the recorded per-image losses in TABLE.npz: they are what each configuration does on the images of
a large population. A search draws 80 configurations, validation images from that population, and a seed for each
training. The seed moves the loss of a training as a whole, and that of each image; both together have a standard
deviation of SHARE of the loss (measured: 1.6 to 2%). So what every configuration is worth on new images with a new seed
is known: it is the truth that the figures are compared with. The race and the expected figures are the search's own
code.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from search.choice import expected as bootstrap
from search.choice.choose import candidates
from search.choice.constraints import Constraints
from search.choice.expected import Evaluated, Expected, expected
from search.choice.race import FIRST_UNSEEN, Race, Standing, Training, mean_images
from search.choice.run import Run
from search.choice.seed_noise import Repeat
from search.measurement import standard_error
from studies.benchmarks.choice.run import load

RUNS = 80  # of a search
RESAMPLES = 50  # of each bootstrap, fewer than in a search: these are means over many
EPOCHS_TRAINED = 0.30  # of the epochs planned: with pruning a search trains a quarter to a third
IMAGE_SHARE = 0.5  # of what an image's loss differs by between trainings, which is due to the seed and not the network
FREE = Constraints(baseline_loss=np.inf)
NO_RACE, OURS = "none", "to 8, 3 rounds"
POLICIES = {
    NO_RACE: Race(rounds=0, unseen=0),
    "3, 1 round": Race(most=3, rounds=1, sure_rounds=1),
    "3, 2 rounds": Race(most=3, rounds=2),
    OURS: Race(),
    "the same, 1 unseen seed": Race(unseen=1),
    "the same, out at 0.5 errors": Race(worse_z=0.5),
    "the same, out at 2 errors": Race(worse_z=2.0),
    "the same, 40% of the epochs": Race(share=0.4),
}


@dataclass(frozen=True)
class World:
    """What configurations do on a population of images."""

    runs: tuple[Run, ...]  # as recorded; their numbers are rows of what follows
    losses: np.ndarray  # (configurations, population), means over seeds
    own: np.ndarray  # likewise: by how much an image differs for this configuration alone
    seed_share: float  # standard deviation of a training's loss over seeds, as a share of the loss

    def trained(self, number: int, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Per-image losses of one training of a configuration with a new seed."""
        own = self.own[number, images]
        by_image = np.sqrt(IMAGE_SHARE) * own * rng.choice((-1.0, 1.0), len(images))
        total = self.seed_share * self.losses[number].mean()
        whole = np.sqrt(max(total**2 - IMAGE_SHARE * own.var() / len(images), 0.0))
        return self.losses[number, images] + by_image + whole * rng.standard_normal()


def make_world(table: Path, seed_share: float) -> World:
    """From a recorded table. Raises ValueError and OSError as `load`.

    The best of the recorded losses are partly luck, so those of runs within 20% of the best are drawn together by as
    much as their test losses are: the slope of test loss on validation loss.
    """
    recorded, by_number = load(table, None)
    recorded = [one for one in recorded if one.run.number in by_number]
    losses = np.array([by_number[one.run.number] for one in recorded])
    means = losses.mean(axis=1)
    good = means < 1.2 * means.min()
    test = np.array([one.test_loss(one.run.best_epoch) for one in recorded])[good]
    slope = min(float(np.polyfit(means[good], test, 1)[0]), 1.0)
    common = losses[good].mean(axis=0)
    own = losses - common - (means - common.mean())[:, None]
    worth = np.where(good, means[good].mean() + slope * (means - means[good].mean()), means)
    population = common - common.mean() + worth[:, None] + np.sqrt(1 - IMAGE_SHARE) * own
    runs = tuple(replace(one.run, number=number) for number, one in enumerate(recorded))
    return World(runs, population, own, seed_share)


class Search:
    """One simulated search: trainings are made when they are asked for, and the same at each asking."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._seed = world, seed
        rng = np.random.default_rng([seed, 0])
        numbers = rng.permutation(len(world.runs))[:RUNS]
        self._drawn = rng.integers(world.losses.shape[1], size=world.losses.shape[1])
        self.images: dict[Training, np.ndarray] = {}
        self.runs = [self._run(int(number)) for number in numbers]
        self.planned = RUNS * max(run.best_epoch + 1 for run in world.runs)

    def repeat(self, training: Training) -> Repeat:
        """One training of the race."""
        number, index = training
        run = self._world.runs[number]
        loss = float(self._losses(training).mean())
        return Repeat(number, index, index, loss, run.at_best.train_loss, 0.0, 0.0, run.best_epoch + 1)

    def race(self, sizes: Race) -> tuple[Standing, int]:
        """A race to its end, and the epochs that it took."""
        repeats: list[Repeat] = []
        while True:
            standing = sizes.standing(self.runs, repeats, self.images, FREE, int(EPOCHS_TRAINED * self.planned))
            assert standing is not None
            if standing.over:
                return standing, sum(repeat.epochs for repeat in repeats)
            repeats += [self.repeat(training) for training in standing.missing]

    def figures(self, name: str, sizes: Race, standing: Standing) -> dict[str, Expected]:
        """What could be printed of the chosen run: as recorded, of the unseen seeds, and corrected for the images."""
        run = standing.choice.run
        if name == NO_RACE:
            close = candidates(self.runs)
            recorded = [self._evaluated(one, self.images[one.number, 0]) for one in close]
            return {
                "no race: as recorded": expected([recorded[close.index(run)]], 0, []),
                "no race: printed": expected(recorded, close.index(run), []),
            }
        if name != OURS:
            return {}
        trainings = [(run.number, FIRST_UNSEEN + number) for number in range(sizes.unseen)]
        unseen = [self._evaluated(run, self.images[one]) for one in trainings if one in self.images]
        took = {placed.trial: placed.rounds for placed in standing.placed}
        means = mean_images(self.images, took)
        among = [self._evaluated(one, means[one.number]) for one in standing.finalists]
        place = [one.number for one in standing.finalists].index(run.number)
        std, freedom = standing.seed_std, sum(took.values()) + len(unseen)
        trained = 1 + standing.rounds
        return {
            "race: the winner's mean in it": expected([among[place]], 0, []),
            "race: unseen seeds alone": expected([among[place]], 0, unseen, std, freedom),
            "race: printed": expected(among, place, unseen, std, freedom, trainings=trained),
        }

    def _evaluated(self, run: Run, losses: np.ndarray) -> Evaluated:
        """Of a training or the mean of several."""
        return Evaluated(losses, np.ones_like(losses), run.at_best.train_loss, run.at_best.gap_se)

    def _run(self, number: int) -> Run:
        run, losses = self._world.runs[number], self._losses((number, 0))
        at_best = replace(run.at_best, val_loss=float(losses.mean()), val_loss_se=standard_error(losses))
        return replace(run, at_best=at_best)

    def _losses(self, training: Training) -> np.ndarray:
        if training not in self.images:
            rng = np.random.default_rng([self._seed, 1, *training])
            self.images[training] = self._world.trained(training[0], np.asarray(self._drawn), rng)
        return self.images[training]


Row = tuple[float, ...]


def play(world: World, searches: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What each policy chose in each search, and what was expected of it by which figure.

    Of a policy: regret (worth of the chosen beside that of the best configuration), worth beside that of the lowest
    recorded loss, gap of the chosen, epochs beside those trained. Of a figure: its error beside the worth, whether
    its interval holds that, and half the width of the interval.
    """
    worth = world.losses.mean(axis=1)
    chosen: dict[str, list[Row]] = {name: [] for name in POLICIES}
    figures: dict[str, list[Row]] = {}
    for number in range(searches):
        search = Search(world, number)
        best = min(worth[run.number] for run in search.runs)
        lowest = worth[min(search.runs, key=lambda run: run.at_best.val_loss).number]
        for name, sizes in POLICIES.items():
            standing, epochs = search.race(sizes)
            run = standing.choice.run
            mine = worth[run.number]
            trained = EPOCHS_TRAINED * search.planned
            chosen[name].append(
                (mine / best - 1, mine / lowest - 1, world.runs[run.number].at_best.gap, epochs / trained)
            )
            for figure, found in search.figures(name, sizes, standing).items():
                low, high = found.loss_interval
                row = found.loss / mine - 1, float(low <= mine <= high), (high - low) / 2 / mine
                figures.setdefault(figure, []).append(row)
    return (
        {name: np.array(rows) for name, rows in chosen.items()},
        {name: np.array(rows) for name, rows in figures.items()},
    )


def report(table: Path, searches: int, seed_share: float) -> None:
    """Print both tables."""
    with mock.patch.object(bootstrap, "RESAMPLES", RESAMPLES):
        chosen, figures = play(make_world(table, seed_share), searches)
    print(
        f"{table.name}: {searches} searches of {RUNS}, seeds {seed_share:.1%} of the loss, {IMAGE_SHARE:.0%} by image\n"
    )
    print("| race | regret | beside the lowest loss | gap | epochs | at most |\n|" + " --- |" * 6)
    for name, rows in chosen.items():
        regret, beside = _with_error(rows[:, 0]), _with_error(rows[:, 1])
        gap, epochs = rows[:, 2].mean(), rows[:, 3]
        print(f"| {name} | {regret} | {beside} | {gap:.3f} | {epochs.mean():.1%} | {epochs.max():.0%} |")
    print("\n| printed loss | bias | covered by its 90% interval | half width |\n|" + " --- |" * 4)
    for name, rows in figures.items():
        print(f"| {name} | {_with_error(rows[:, 0])} | {_with_error(rows[:, 1])[1:]} | {rows[:, 2].mean():.1%} |")


def _with_error(values: np.ndarray) -> str:
    return f"{values.mean():+.2%} ± {standard_error(values):.2%}"


def main() -> int:
    """Simulate searches on the runs of a table. Returns 2 if it cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--searches", type=int, default=1000)
    parser.add_argument("--seed-noise", type=float, default=0.018, help="of the loss (default %(default)s)")
    options = parser.parse_args()
    try:
        report(options.table, options.searches, options.seed_noise)
    except (OSError, ValueError, KeyError) as error:
        print(f"race: {options.table}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
