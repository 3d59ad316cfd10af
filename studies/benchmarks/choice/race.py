"""The race of the finalists and the figure that a search prints, on simulated searches.

    python studies/benchmarks/choice/race.py TABLE.jsonl.gz [--searches N] [--seed-noise SHARE]

A world is made from the recorded per-image losses in TABLE.npz: they are what each configuration does on the images of
a large population. A search draws 80 configurations, validation images from that population, and a seed for each
training. The seed moves the loss of a training as a whole, and that of each image; both together have a standard
deviation of SHARE of the loss (1.7 and 2.0%). So what every configuration is worth on new images with a new seed
is known: it is the truth that the figures are compared with. The race and the expected figures are the search's own
code.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from search.choice.race import Race, Training
from search.choice.run import Run
from studies.benchmarks.choice.raced_search import NO_RACE, RUNS, Search, Trained, lines, measured, play
from studies.benchmarks.choice.run import load

IMAGE_SHARE = 2 / 3  # of what an image's loss differs by between trainings: the seed's part, the rest is the network's
OURS = "to 8, 3 rounds"
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


def simulated(world: World, seed: int) -> Search:
    """A search in the world: configurations, validation images and the seeds of trainings are drawn."""
    rng = np.random.default_rng([seed, 0])
    numbers = rng.permutation(len(world.runs))[:RUNS]
    drawn = np.asarray(rng.integers(world.losses.shape[1], size=world.losses.shape[1]))

    def trained(training: Training) -> Trained:
        losses = world.trained(training[0], drawn, np.random.default_rng([seed, 1, *training]))
        return measured(world.runs[training[0]], losses), losses

    planned = RUNS * max(run.best_epoch + 1 for run in world.runs)
    return Search(map(int, numbers), trained, dict(enumerate(world.losses.mean(axis=1))), planned)


def report(table: Path, searches: int, seed_share: float) -> None:
    """Print both tables."""
    world = make_world(table, seed_share)
    chosen, figures = play((simulated(world, number) for number in range(searches)), POLICIES, OURS)
    print(
        f"{table.name}: {searches} searches of {RUNS}, seeds {seed_share:.1%} of the loss, {IMAGE_SHARE:.0%} by image\n"
    )
    print("\n".join(lines(chosen, figures)))


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
