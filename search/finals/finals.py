"""The end of a search: the race of the finalists, the choice, and what is expected of the chosen one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from search.choice.choose import Choice, candidates, choose
from search.choice.constraints import Constraints
from search.choice.expected import Evaluated, Expected, expected
from search.choice.race import FIRST_UNSEEN, Race, Standing, Training, mean_images
from search.choice.run import Run
from search.choice.seed_noise import Repeat, seed_std
from search.finals.fresh_weights import keep_those_of
from search.finals.image_losses import ImageLosses
from search.finals.repeats import train_repeats
from search.measurement import recalls
from search.recording.store import Store
from search.results.schema import StudyAttribute
from search.show.progress import seed_name
from search.show.terminal import Terminal
from search.show.text import plural
from search.stopping.stopped import Stopped
from search.training.trial import Outcome
from search.workers.pool import Pool


class Finals:
    """The race among the runs of a search, and what comes of it."""

    def __init__(
        self, store: Store, pool: Pool[Any], terminal: Terminal, seed: int, beat: Callable[[], None] = lambda: None
    ) -> None:
        """seed: of the search. beat: called again and again where figures take their time."""
        self._beat = beat
        self._store, self._pool, self._terminal, self._seed = store, pool, terminal, seed
        self._constraints: Constraints = pool.conditions.constraints
        self._race = Race()
        snapshot = store.snapshot()
        self._repeats = stored_repeats(store.study.user_attrs)
        self._unlucky = set[Training]()  # lost their worker or its memory too often: failed for now, not for ever
        self.images = ImageLosses(pool.conditions.folder, snapshot.runs, self._repeats, terminal.notice)

    def run(self, runs: Sequence[Run], hang_after: float, go_on: Callable[[], bool]) -> bool:
        """Race until `go_on` says no; whether it came to its end."""
        left: set[int] = set()
        while (standing := self._standing(runs)) is not None and go_on():
            self._say_dropped(left, standing)
            left = {run.number for run in standing.left}
            if standing.over:
                keep_those_of(standing.choice.run.number, self._pool.conditions)
                return True
            self._announce(standing)
            epochs = {run.number: run.best_epoch + 1 for run in runs}
            jobs = [self._store.repeat_job(number, epochs[number], index) for number, index in standing.missing]
            train_repeats(self._pool, jobs, hang_after, go_on, self._ended, self._terminal)
        return standing is None

    def choice(self, runs: Sequence[Run], val_losses: Mapping[int, np.ndarray]) -> Choice | None:
        """The choice among the runs so far: by the race, once it has had a round; recorded in the study too.

        val_losses: per image, of the runs that have them, by number.
        """
        standing = self._standing(runs) if self._repeats else None
        raced = standing is not None and standing.rounds > 0
        choice = standing.choice if raced and standing is not None else choose(runs, val_losses)
        self._describe(choice, standing if raced else None, None)
        return choice

    def conclude(self, runs: Sequence[Run], val_losses: Mapping[int, np.ndarray]) -> Choice | None:
        """The choice; recorded with what is expected of it, unless the losses for that are lost."""
        choice = self.choice(runs, val_losses)
        if choice is None:
            return None
        standing = self._standing(runs)
        found = self._expected(choice.run, runs, standing)
        raced = standing if standing is not None and standing.rounds > 0 else None
        self._describe(choice, raced, found)
        return choice

    def _standing(self, runs: Sequence[Run]) -> Standing | None:
        trained = sum(trial.epochs_run for trial in self._store.snapshot().ended)
        return self._race.standing(runs, self._repeats, self.images.losses, self._constraints, trained)

    def _ended(self, repeat: Repeat, outcome: Outcome) -> None:
        """A training has ended: keep it at once, so that no kill costs it."""
        training = repeat.trial, repeat.index
        if not repeat.failed:
            self.images.add(training, outcome.val_losses, outcome.val_correct)
        self._repeats = [one for one in self._repeats if (one.trial, one.index) != training] + [repeat]
        if outcome.stopped == Stopped.OUT_OF_MEMORY:
            self._unlucky.add(training)
        kept = [_storable(one) for one in self._repeats if (one.trial, one.index) not in self._unlucky]
        self._store.describe(StudyAttribute.REPEATS, kept)
        came_to = "failed" if repeat.failed else f"val_loss {repeat.val_loss:.4f}  gap {repeat.gap:7.4f}"
        self._terminal.note(f"race: trial {repeat.trial:3d}, {seed_name(repeat.index)}:  {came_to}")

    def _announce(self, standing: Standing) -> None:
        """Say what is trained next."""
        trials = dict.fromkeys(number for number, _ in standing.missing)
        named = f"{'trial' if len(trials) == 1 else 'trials'} {', '.join(map(str, trials))}"
        if standing.missing[0][1] >= FIRST_UNSEEN:
            seeds = plural(len(standing.missing), "seed")
            self._terminal.note(
                f"race: trial {standing.choice.run.number} has won; {seeds} unseen so far tell its worth"
            )
        else:
            self._terminal.note(f"race, round {standing.rounds + 1}: {named} again, with a fresh seed")

    def _say_dropped(self, before: set[int], standing: Standing) -> None:
        dropped = sorted(before - {run.number for run in standing.left})
        if dropped:
            self._terminal.note(
                f"race: out {'is trial' if len(dropped) == 1 else 'are trials'} {', '.join(map(str, dropped))}"
            )

    def _describe(self, choice: Choice | None, standing: Standing | None, found: Expected | None) -> None:
        content: dict[str, Any] | None = None
        if choice is not None:
            placed = [] if standing is None else [asdict(one) for one in standing.placed]
            content = choice.as_dict() | {
                "race": [{name: _finite(value) for name, value in one.items()} for one in placed],
                "expected": None if found is None else found.as_dict(),
                "unrecognized": self._unrecognized(choice.run),
            }
        self._store.describe(StudyAttribute.CHOICE, content)

    def _unrecognized(self, run: Run) -> list[str]:
        """The classes of which a run, as recorded, recognizes no validation image; none where that is not known."""
        correct = self.images.correct.get((run.number, 0))
        if correct is None:
            return []
        data = self._pool.data
        by_class = recalls(data.val_labels, correct, len(data.classes))
        return [name for name, recall in zip(data.classes, by_class, strict=True) if recall == 0]

    def _expected(self, run: Run, runs: Sequence[Run], standing: Standing | None) -> Expected | None:
        """Among the finalists by their rounds, and by the unseen seeds; without a race among the runs as recorded."""
        if standing is not None and (standing.rounds or standing.over) and standing.choice.run is run:
            took = {one.trial: one.rounds for one in standing.placed}
            unseen = [one for one in self._of(run.number) if one.index >= FIRST_UNSEEN and not one.failed]
            measured = [self._evaluated(run, one) for one in unseen]
            ranked = [one for number, rounds in took.items() for one in self._of(number) if one.index <= rounds]
            noise = [one for one in (*ranked, *unseen) if not one.failed]
            known = [one for one in measured if one is not None]
            if standing.rounds or known:
                std, trainings = seed_std(standing.finalists, noise), 1 + standing.rounds
                among = list(standing.eligible(self._constraints))
                return self._bootstrap(run, among, took, known, std, len(noise), trainings)
        close = candidates(runs)
        among = close if run in close else [*close, run]
        return self._bootstrap(run, among, {one.number: 0 for one in among}, [], None, 0, 1)

    def _bootstrap(
        self,
        run: Run,
        among: Sequence[Run],
        took: Mapping[int, int],
        unseen: Sequence[Evaluated],
        std: float | None,
        freedom: int,
        trainings: int,
    ) -> Expected | None:
        """among: what it might have been; took: the rounds of each, by number."""
        losses = mean_images(self.images.losses, took)
        correct = mean_images(self.images.correct, took)
        known = [one for one in among if one.number in losses]
        if run not in known:
            return None
        evaluated = [
            Evaluated(
                losses[one.number], correct[one.number], self._train_loss(one, took[one.number]), one.at_best.gap_se
            )
            for one in known
        ]
        data = self._pool.data
        return expected(
            evaluated, known.index(run), unseen, std, freedom, trainings=trainings, seed=self._seed,
            labels=data.val_labels if data.uneven else None, beat=self._beat,
        )  # fmt: skip

    def _of(self, number: int) -> list[Repeat]:
        return sorted((one for one in self._repeats if one.trial == number), key=lambda one: one.index)

    def _train_loss(self, run: Run, rounds: int) -> float:
        again = [one.train_loss for one in self._of(run.number) if one.index <= rounds]
        return float(np.mean([run.at_best.train_loss, *again]))

    def _evaluated(self, run: Run, repeat: Repeat) -> Evaluated | None:
        training: Training = repeat.trial, repeat.index
        if training not in self.images.losses:
            return None
        losses, correct = self.images.losses[training], self.images.correct[training]
        return Evaluated(losses, correct, repeat.train_loss, run.at_best.gap_se)


def stored_repeats(stored: Mapping[str, Any]) -> list[Repeat]:
    """What a study keeps under `StudyAttribute.REPEATS`; those of older releases have other seeds and are left out."""
    names = {field.name for field in fields(Repeat)}
    repeats = [entry for entry in stored.get(StudyAttribute.REPEATS, ()) if set(entry) == names]
    return [
        Repeat(**entry | {"val_loss": np.inf if entry["val_loss"] is None else entry["val_loss"]}) for entry in repeats
    ]


def _storable(repeat: Repeat) -> dict[str, Any]:
    return {name: _finite(value) for name, value in asdict(repeat).items()}


def _finite(value: Any) -> Any:  # noqa: ANN401
    return None if isinstance(value, float) and not np.isfinite(value) else value
