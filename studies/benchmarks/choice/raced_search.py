"""Searches whose runs are known beforehand, raced and judged by the search's own code.

Where the trainings come from is told by a function: from a simulated world (race.py), or from real trainings that were
recorded (real_seeds.py).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from unittest import mock

import numpy as np

from search.choice import expected as bootstrap
from search.choice.choose import candidates
from search.choice.constraints import Constraints
from search.choice.expected import Evaluated, Expected, expected
from search.choice.race import FIRST_UNSEEN, Race, Standing, Training, mean_images
from search.choice.run import Run
from search.choice.seed_noise import Repeat
from search.measurement import standard_error

RUNS = 80  # of a search
RESAMPLES = 50  # of each bootstrap, fewer than in a search: these are means over many
EPOCHS_TRAINED = 0.30  # of the epochs planned: with pruning a search trains a quarter to a third
NORMAL_TAIL = 1.645  # standard deviations, of 90% in the middle
FREE = Constraints(baseline_loss=np.inf)
NO_RACE = "none"

Trained = tuple[Run, np.ndarray]  # a training as the search sees it, and its per-image validation losses


class Search:
    """One search: trainings are made when they are asked for, and the same at each asking."""

    def __init__(
        self,
        numbers: Iterable[int],
        trained: Callable[[Training], Trained],
        worth: Mapping[int, float],
        planned: int,
        worth_se: float = 0.0,
    ) -> None:
        """numbers: of the configurations. worth: the loss of each on new images, with its standard error.

        planned: epochs of the search.
        """
        self._trained = trained
        self.worth, self.worth_se, self.planned = worth, worth_se, planned
        self.images: dict[Training, np.ndarray] = {}
        self.runs = [self._run((number, 0)) for number in numbers]

    @property
    def epochs(self) -> int:
        """That the search trained, before any race."""
        return int(EPOCHS_TRAINED * self.planned)

    def repeat(self, training: Training) -> Repeat:
        """One training of the race."""
        number, index = training
        run = self._run(training)
        return Repeat(number, index, index, run.at_best.val_loss, run.at_best.train_loss, 0.0, 0.0, run.best_epoch + 1)

    def race(self, sizes: Race) -> tuple[Standing, int]:
        """A race to its end, and the epochs that it took."""
        repeats: list[Repeat] = []
        while True:
            standing = sizes.standing(self.runs, repeats, self.images, FREE, self.epochs)
            assert standing is not None
            if standing.over:
                return standing, sum(repeat.epochs for repeat in repeats)
            repeats += [self.repeat(training) for training in standing.missing]

    def printed(self, standing: Standing) -> dict[str, Expected]:
        """What could be printed without a race: the chosen run as recorded, and corrected for the images."""
        run, close = standing.choice.run, candidates(self.runs)
        recorded = [_evaluated(one, self.images[one.number, 0]) for one in close]
        return {
            "no race: as recorded": expected([recorded[close.index(run)]], 0, []),
            "no race: printed": expected(recorded, close.index(run), []),
        }

    def printed_after(self, standing: Standing, unseen_seeds: int) -> dict[str, Expected]:
        """What could be printed after a race: the means in it, those of the unseen seeds, and these corrected."""
        run = standing.choice.run
        trainings = [(run.number, FIRST_UNSEEN + number) for number in range(unseen_seeds)]
        unseen = [_evaluated(run, self.images[one]) for one in trainings if one in self.images]
        took = {placed.trial: placed.rounds for placed in standing.placed}
        means = mean_images(self.images, took)
        among = [_evaluated(one, means[one.number]) for one in standing.finalists]
        place = [one.number for one in standing.finalists].index(run.number)
        std, freedom = standing.seed_std, sum(took.values()) + len(unseen)
        return {
            "race: the winner's mean in it": expected([among[place]], 0, []),
            "race: unseen seeds alone": expected([among[place]], 0, unseen, std, freedom),
            "race: printed": expected(among, place, unseen, std, freedom, trainings=1 + standing.rounds),
        }

    def covers(self, found: Expected, worth: float) -> bool:
        """Whether the interval holds the worth; widened by the error with which the worth itself is known."""
        low, high = (np.hypot(bound - found.loss, NORMAL_TAIL * self.worth_se) for bound in found.loss_interval)
        return bool(found.loss - low <= worth <= found.loss + high)

    def _run(self, training: Training) -> Run:
        run, self.images[training] = self._trained(training)
        return run


def measured(run: Run, losses: np.ndarray) -> Run:
    """`run` with these per-image validation losses."""
    mean, error = float(losses.mean()), standard_error(losses)
    return replace(run, at_best=replace(run.at_best, val_loss=mean, val_loss_se=error))


def _evaluated(run: Run, losses: np.ndarray) -> Evaluated:
    """Of a training or the mean of several."""
    return Evaluated(losses, np.ones_like(losses), run.at_best.train_loss, run.at_best.gap_se)


Row = tuple[float, ...]
Rows = dict[str, np.ndarray]


def play(searches: Iterable[Search], policies: Mapping[str, Race], ours: str) -> tuple[Rows, Rows]:
    """What each policy chose in each search, and what was expected of it by which figure.

    Of a policy: regret (worth of the chosen beside that of the best configuration), worth beside that of the lowest
    recorded loss, gap of the chosen, epochs beside those trained. Of a figure: its error beside the worth, whether
    its interval holds that, and half the width of the interval. ours: the policy whose figures are told.
    """
    chosen: dict[str, list[Row]] = {name: [] for name in policies}
    figures: dict[str, list[Row]] = {}
    with mock.patch.object(bootstrap, "RESAMPLES", RESAMPLES):
        for search in searches:
            best = min(search.worth[run.number] for run in search.runs)
            lowest = search.worth[min(search.runs, key=lambda run: run.at_best.val_loss).number]
            for name, sizes in policies.items():
                standing, epochs = search.race(sizes)
                run = standing.choice.run
                mine = search.worth[run.number]
                gap = mine - run.at_best.train_loss
                chosen[name].append((mine / best - 1, mine / lowest - 1, gap, epochs / search.epochs))
                found = search.printed(standing) if name == NO_RACE else {}
                found |= search.printed_after(standing, sizes.unseen) if name == ours else {}
                for figure, one in found.items():
                    low, high = one.loss_interval
                    row = one.loss / mine - 1, float(search.covers(one, mine)), (high - low) / 2 / mine
                    figures.setdefault(figure, []).append(row)
    return _arrays(chosen), _arrays(figures)


def _arrays(rows: Mapping[str, Sequence[Row]]) -> Rows:
    return {name: np.array(some) for name, some in rows.items()}


def lines(chosen: Rows, figures: Rows, *, regret: bool = True) -> list[str]:
    """Both tables, in Markdown. regret: whether the best configuration is known, and so that column makes sense."""
    headings = ["race", *(["regret"] if regret else []), "beside the lowest loss", "gap", "epochs", "at most"]
    told = [f"| {' | '.join(headings)} |", "|" + " --- |" * len(headings)]
    for name, rows in chosen.items():
        cells = [name, *([_with_error(rows[:, 0])] if regret else []), _with_error(rows[:, 1])]
        cells += [f"{rows[:, 2].mean():.3f}", f"{rows[:, 3].mean():.1%}", f"{rows[:, 3].max():.0%}"]
        told.append(f"| {' | '.join(cells)} |")
    told += ["", "| printed loss | bias | covered by its 90% interval | half width |", "|" + " --- |" * 4]
    for name, rows in figures.items():
        bias, covered = _with_error(rows[:, 0]), _with_error(rows[:, 1])[1:]
        told.append(f"| {name} | {bias} | {covered} | {rows[:, 2].mean():.1%} |")
    return told


def _with_error(values: np.ndarray) -> str:
    return f"{values.mean():+.2%} ± {standard_error(values):.2%}"
