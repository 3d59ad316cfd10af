"""The race of the finalists: the best configurations are trained again with fresh seeds, in rounds.

The lowest of many noisy losses is a lucky one. So the best few are trained again, each to its best epoch, with the same
fresh seeds for all. After each round those drop out that are worse. The loss that the search recorded counts as one
observation: a few fresh seeds alone would rank worse than it does. Whoever wins is trained with unseen seeds,
which took no part in the ranking: they say what it is worth (`search.choice.expected`).

Numbers in, plan out: what has been trained says what is to be trained next. So a race that was killed goes on, and one
that is over stays as it is. The sizes come from studies/benchmarks/choice/race.py.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from search.choice.choose import USEFUL, Choice, candidates, choose, difference_se
from search.choice.constraints import Constraints
from search.choice.run import Run
from search.choice.seed_noise import Repeat, seed_std

MISSED = "; with fresh seeds no finalist meets the constraints"
FAILED = "; with fresh seeds all finalists have failed"
FIRST_UNSEEN = 1001  # index of the first of the winner's seeds that rank nothing

Training = tuple[int, int]  # number of a trial, index of its seed: 0 is the recorded one
Images = Mapping[Training, np.ndarray]  # per-image validation losses, shape (n,), of the trainings that have them


@dataclass(frozen=True)
class Placed:
    """A finalist in the race: the means over its recorded training and those of the rounds that it took part in."""

    trial: int
    recorded: float  # validation loss, in nats
    val_loss: float
    gap: float
    rounds: int
    left: bool  # it has not dropped out


@dataclass(frozen=True)
class Standing:
    """Where a race stands."""

    finalists: tuple[Run, ...]  # as recorded, in the order in which they qualified
    left: tuple[Run, ...]  # those that have not dropped out
    rounds: int  # that are complete
    placed: tuple["Placed", ...]  # what each finalist came to, in their order
    missing: tuple[Training, ...]  # what is to be trained next; nothing once the race is over
    choice: Choice  # of those left, on the means over the complete rounds
    seed_std: float | None  # of a validation loss over seeds, in nats; None where there was no round

    @property
    def over(self) -> bool:
        """Whether nothing is left to be trained."""
        return not self.missing

    def eligible(self, constraints: Constraints) -> tuple[Run, ...]:
        """The finalists that might have been chosen: if the chosen one's means meet the constraints, all that do."""
        met = {one.trial for one in self.placed if constraints.met(one.val_loss, one.gap)}
        if self.choice.run.number not in met:
            return self.finalists
        return tuple(run for run in self.finalists if run.number in met)


@dataclass(frozen=True)
class Race:
    """The sizes of a race."""

    fewest: int = 3  # configurations that are raced, where so many are feasible, however far ahead the first is
    most: int = 8  # that are raced for their loss
    rounds: int = 3  # at most
    sure_rounds: int = 2  # of the fewest, whatever the budget
    unseen: int = 2  # seeds of the winner that rank nothing; those after the first only within the budget
    share: float = 0.20  # of the epochs that the search itself trained, which the race may cost
    worse_z: float = 1.0  # standard errors by which a finalist must be worse than the leader to drop out

    def standing(
        self,
        runs: Sequence[Run],
        repeats: Sequence[Repeat],
        images: Images,
        constraints: Constraints,
        epochs_trained: int,
    ) -> Standing | None:
        """Where the race among `runs` stands after `repeats`; None where none of them is feasible."""
        chosen = choose(runs, recorded_images(images))
        if chosen is None:
            return None
        field = _Field({(repeat.trial, repeat.index): repeat for repeat in repeats}, images, constraints)
        finalists = self.qualified(runs, chosen.run, epochs_trained)
        budget = self._budget(finalists, epochs_trained)
        left, spent, took = finalists, 0, dict.fromkeys((run.number for run in finalists), 0)
        for rounds in range(self.rounds):
            price = cost(left)
            if len(left) < 2 or (rounds and spent + price + _longest(left) > budget):
                break
            if missing := field.missing((run.number, rounds + 1) for run in left):
                return field.standing(finalists, left, took, missing)
            spent += price
            took |= {run.number: rounds + 1 for run in left}
            seeds = (field.seed_std(finalists, took) or 0.0) / math.sqrt(2 + rounds)  # of a mean over that many
            means = field.judged(field.means(left, took))
            left = self._not_worse(left, means, field.mean_images(left, took), seeds)
        standing = field.standing(finalists, left, took, ())
        winner = standing.choice.run
        affordable = max(int((self.share * epochs_trained - spent) // cost([winner])), 1)
        unseen = range(FIRST_UNSEEN, FIRST_UNSEEN + min(affordable, self.unseen))
        return replace(standing, missing=field.missing((winner.number, index) for index in unseen))

    def qualified(self, runs: Sequence[Run], chosen: Run, epochs_trained: int) -> tuple[Run, ...]:
        """The finalists: those of lowest loss, the one that would be chosen now, and the smallest gap within 10%.

        More than the fewest only where they are useful, and where two rounds of them can be paid for.
        """
        ordered = sorted((run for run in runs if run.feasible), key=lambda run: (run.at_best.val_loss, run.number))
        within = [run for run in ordered if run.at_best.val_loss <= (1 + USEFUL) * ordered[0].at_best.val_loss]
        smallest = min(within, key=lambda run: (run.objectives[1], run.objectives[0], run.number))
        first, *others = ordered[: max(self.fewest, min(self.most, len(candidates(runs))))]
        second = others[: self.fewest - 2]
        listed = list(dict.fromkeys([first, chosen, *second, smallest, *others]))
        while len(listed) > self.fewest and self._sure_cost(listed) > self._budget(listed, epochs_trained):
            listed.pop()
        return tuple(listed)

    def _budget(self, finalists: Sequence[Run], epochs_trained: int) -> float:
        return max(self.share * epochs_trained, self._sure_cost(finalists[: self.fewest]))

    def _sure_cost(self, runs: Sequence[Run]) -> int:
        """Of the rounds that are sure, and one unseen seed."""
        return self.sure_rounds * cost(runs) + _longest(runs)

    def _not_worse(
        self, left: Sequence[Run], means: Sequence[Run], losses: Mapping[int, np.ndarray], seeds: float
    ) -> tuple[Run, ...]:
        """Those whose mean loss noise cannot tell from the lowest of the feasible ones; all, where all have failed.

        means: their runs, with the means in them. seeds: standard deviation of a mean loss over seeds.
        """
        leader = min(means, key=lambda run: (not run.feasible, run.at_best.val_loss, run.number))
        if not math.isfinite(leader.at_best.val_loss):
            return tuple(left)

        def stays(run: Run) -> bool:
            above = run.at_best.val_loss - leader.at_best.val_loss  # infinite or NaN where a training failed
            noise = math.hypot(difference_se(run, leader, losses), math.sqrt(2) * seeds)
            return run is leader or above <= self.worse_z * noise

        return tuple(run for run, mean in zip(left, means, strict=True) if stays(mean))


def cost(runs: Sequence[Run]) -> int:
    """Epochs that it takes to train each of them once more."""
    return sum(run.best_epoch + 1 for run in runs)


def _longest(runs: Sequence[Run]) -> int:
    """Epochs that one unseen seed of whoever wins takes, at most."""
    return max(cost([run]) for run in runs)


def recorded_images(images: Images) -> dict[int, np.ndarray]:
    """The losses of what the search itself has trained, by number."""
    return {number: losses for (number, index), losses in images.items() if index == 0}


@dataclass(frozen=True)
class _Field:
    """What the trainings so far say of the finalists. took: the rounds that each has taken part in, by number."""

    done: Mapping[Training, Repeat]
    images: Images
    constraints: Constraints

    def missing(self, trainings: Iterable[Training]) -> tuple[Training, ...]:
        return tuple(training for training in trainings if training not in self.done)

    def means(self, runs: Sequence[Run], took: Mapping[int, int]) -> list[Run]:
        return [averaged(run, self._again(run, took)) for run in runs]

    def mean_images(self, runs: Sequence[Run], took: Mapping[int, int]) -> dict[int, np.ndarray]:
        return mean_images(self.images, {run.number: took[run.number] for run in runs})

    def seed_std(self, finalists: Sequence[Run], took: Mapping[int, int]) -> float | None:
        return seed_std(finalists, [one for run in finalists for one in self._again(run, took)])

    def standing(
        self, finalists: tuple[Run, ...], left: tuple[Run, ...], took: Mapping[int, int], missing: tuple[Training, ...]
    ) -> Standing:
        """With the choice among those left, which names the runs as they were recorded."""
        rounds, std, means = max(took.values()), self.seed_std(finalists, took), self.means(left, took)
        judged = self.judged(means)
        missed = "" if any(run.feasible for run in judged) else MISSED
        if missed:  # by their means; as recorded they all are feasible
            judged = [replace(run, feasible=math.isfinite(run.at_best.val_loss)) for run in judged]
        choice = choose(judged, self.mean_images(left, took), std, trainings=1 + rounds)
        recorded = {run.number: run for run in left}
        if choice is None:
            choice, missed = choose(left, recorded_images(self.images)), FAILED
        assert choice is not None
        band = tuple(recorded[run.number] for run in choice.band)
        choice = Choice(recorded[choice.run.number], band, choice.reason + missed)
        placed = tuple(
            Placed(
                run.number, run.at_best.val_loss, mean.at_best.val_loss, mean.at_best.gap, took[run.number], run in left
            )
            for run, mean in zip(finalists, self.means(finalists, took), strict=True)
        )
        return Standing(finalists, left, rounds, placed, missing, choice, std)

    def _again(self, run: Run, took: Mapping[int, int]) -> list[Repeat]:
        return [self.done[run.number, index] for index in range(1, took[run.number] + 1)]

    def judged(self, means: Sequence[Run]) -> list[Run]:
        """Whether each is feasible by its means."""
        return [replace(run, feasible=self._meets(run)) for run in means]

    def _meets(self, run: Run) -> bool:
        return math.isfinite(run.at_best.val_loss) and self.constraints.met(run.at_best.val_loss, run.at_best.gap)


def averaged(run: Run, again: Sequence[Repeat]) -> Run:
    """The run with the means over its recorded training and those `again`; infinite losses where one failed."""

    def mean(name: str) -> float:
        return sum([getattr(run.at_best, name), *(getattr(one, name) for one in again)]) / (1 + len(again))

    figures = {name: mean(name) for name in ("val_loss", "train_loss", "val_accuracy", "train_accuracy")}
    return replace(run, at_best=replace(run.at_best, **figures))


def mean_images(images: Images, took: Mapping[int, int]) -> dict[int, np.ndarray]:
    """Means over the recorded training and those of the rounds that a trial took part in, by its number.

    Left out are trials that lack one of these.
    """
    found = {}
    for number, rounds in took.items():
        trainings = [(number, index) for index in range(rounds + 1)]
        if all(training in images for training in trainings):
            found[number] = np.mean([np.asarray(images[training], np.float64) for training in trainings], axis=0)
    return found
