"""A search on a surrogate: trials side by side, judged by the rules at each epoch, and told as a real search tells."""

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.trial import Trial, TrialState

from search.choice.choose import choose
from search.choice.constraints import Constraints
from search.choice.pareto import front
from search.choice.run import Run, run_at_best
from search.measurement import History, Measurement
from search.recording.ending import attributes_of, state_of, violations_of
from search.stopping.hopeless import Curve, HopelessRule
from search.stopping.overfit import OverfitRule
from search.stopping.stopped import Stopped
from search.training.trial import Outcome
from studies.benchmarks.search.surrogate import Config, Surrogate

PAIRED = 0.4  # standard error of a paired difference of losses, over that of an unpaired one: top runs of both tables
BASELINE = 90  # percentile of the table's losses, which stands for the linear baseline

Sampling = Callable[[int], BaseSampler]
"""Makes the sampler of one draw from a seed: as in a real search each draw has its own."""


@dataclass(frozen=True)
class Problem:
    """A surrogate with what a search on it is judged by."""

    surrogate: Surrogate
    constraints: Constraints
    reference: tuple[float, float]  # the loss and the gap that bound the hypervolume

    @classmethod
    def on(cls, surrogate: Surrogate) -> "Problem":
        """With bounds from the runs of the table."""
        loss = np.exp(surrogate.table.ends[:, 0])
        bound = float(np.percentile(loss, BASELINE))
        gap = float(np.percentile(surrogate.table.ends[:, 1] * loss, BASELINE))
        return cls(surrogate, Constraints(bound), (bound, gap))


@dataclass
class _Running:
    trial: Trial
    config: Config
    history: History
    overfit: OverfitRule = field(default_factory=OverfitRule)
    epochs: int = 0

    def so_far(self) -> History:
        return {name: curve[: self.epochs] for name, curve in self.history.items()}


class Simulation:
    """One search with `sampling`, on `workers` workers. gives_up: hopeless runs are stopped."""

    def __init__(
        self,
        problem: Problem,
        sampling: Sampling,
        seed: int,
        start: Sequence[Config] = (),
        workers: int = 4,
        *,
        gives_up: bool = True,
    ) -> None:
        self._problem, self._sampling, self._seed = problem, sampling, seed
        self._table = problem.surrogate.table
        self._rng = np.random.default_rng([seed, 1])
        self._hopeless = HopelessRule(total_epochs=self._table.epochs)
        self._study = optuna.create_study(directions=["minimize", "minimize"])
        for config in start:
            self._study.enqueue_trial(problem.surrogate.clipped(config))
        self._workers, self._gives_up = workers, gives_up
        self._busy: list[tuple[float, int, _Running]] = []  # when the next epoch of each worker's trial is done
        self._asked = 0
        self.now = 0.0  # seconds since the search began
        self.ended = 0
        self.runs: list[Run] = []
        self.configs: dict[int, Config] = {}
        self.epochs_trained = 0

    def run(self, trials: int, look_after: Sequence[int]) -> list[tuple[float, float]]:
        """The loss of the choice and the hypervolume after some numbers of ended trials, at most `trials`.

        Both are of what the configurations are expected to come to: the luck of a seed is no merit.
        """
        found = []
        for ended in look_after:
            self.train(trials, ended=ended)
            found.append((self.chosen_loss(), self.hypervolume()))
        self.train(trials, ended=trials)
        return found

    def run_for(self, look_at: Sequence[float]) -> list[tuple[float, float, int]]:
        """The same, and how many trials have ended, after some numbers of seconds.

        As in a real search with a timeout, trials that are under way then count for nothing.
        """
        found = []
        for until in look_at:
            self.train(until=until)
            found.append((self.chosen_loss(), self.hypervolume(), self.ended))
        return found

    def train(self, trials: float = math.inf, *, ended: float = math.inf, until: float = math.inf) -> None:
        """Train until so many of the `trials` have ended, or the next epoch would be done too late."""
        while self.ended < ended:
            while len(self._busy) < self._workers and self._asked < trials:
                self._continue(self._asked, self._ask(self._asked))
                self._asked += 1
            if self._busy[0][0] > until:
                return
            self.now, number, running = heapq.heappop(self._busy)
            if self._epoch(number, running):
                self.ended += 1
            else:
                self._continue(number, running)

    def _continue(self, number: int, running: _Running) -> None:
        heapq.heappush(self._busy, (self.now + epoch_cost(running.config), number, running))

    def chosen_loss(self) -> float:
        """Of what is taken home; the bound of the constraint where nothing is feasible."""
        runs = [replace(run, at_best=_paired(run)) for run in self.runs]
        choice = choose(runs, {})
        if choice is None:
            return self._problem.constraints.baseline_loss
        return self._problem.surrogate.expected(self.configs[choice.run.number])[0]

    def hypervolume(self) -> float:
        """The area that the feasible runs dominate, up to the reference point; in thousandths of a squared nat."""
        points = [self._problem.surrogate.expected(self.configs[run.number]) for run in front(self.runs)]
        area, (loss_bound, gap_bound) = 0.0, self._problem.reference
        for loss, gap in sorted((loss, max(gap, 0.0)) for loss, gap in points):
            if loss < loss_bound and gap < gap_bound:
                area += (loss_bound - loss) * (gap_bound - gap)
                gap_bound = gap
        return 1000 * area

    def _ask(self, number: int) -> _Running:
        self._study.sampler = self._sampling(int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0]))
        trial = self._study.ask(self._table.distributions)
        self.configs[number] = dict(trial.params)
        return _Running(trial, trial.params, self._problem.surrogate.draw(trial.params, self._rng))

    def _epoch(self, number: int, running: _Running) -> bool:
        """Train one more epoch; whether the run has ended."""
        running.epochs += 1
        self.epochs_trained += 1
        so_far = running.so_far()
        curve = Curve(so_far["val_loss"], so_far["gap"], so_far["val_loss_se"])
        overfit = running.overfit.update(
            so_far["train_loss"][-1], so_far["val_loss"][-1], rise_z=so_far["val_rise_z"][-1]
        )
        hopeless = self._hopeless.update(number, curve)
        if running.epochs == self._table.epochs:
            self._end(number, running, Stopped.FINISHED)
        elif overfit.stop:
            self._end(number, running, Stopped.OVERFIT)
        elif hopeless.stop and self._gives_up:
            self._end(number, running, Stopped.HOPELESS)
        else:
            return False
        return True

    def _end(self, number: int, running: _Running, stopped: Stopped) -> None:
        if stopped.reached_best:
            self._hopeless.end(number, overfitted=stopped == Stopped.OVERFIT)
        history = running.so_far()
        run = run_at_best(number, history, self._problem.constraints)
        assert run is not None  # recorded losses are finite
        seconds = running.epochs * epoch_cost(running.config)
        outcome = Outcome(number, stopped, run=run, history=history, seconds=seconds)
        for key, value in attributes_of(outcome, "cpu", None).items():
            running.trial.set_user_attr(key, value)
        for key, violation in violations_of(run, self._problem.constraints).items():
            running.trial.set_constraint(key, violation)
        state = state_of(outcome, self.runs)
        complete = state == TrialState.COMPLETE
        self._study.tell(running.trial, list(run.objectives) if complete else None, state=state)
        if complete:
            self.runs.append(run)


def epoch_cost(config: Config) -> float:
    """Seconds of an epoch, in units of those of a small network: what an image costs, and what a step costs besides."""
    side, channels, operations, width = 28.0, 1.0, 0.0, float(config["width"])
    for _ in range(config["depth"]):
        operations += side**2 * channels * width * config["kernel_size"] ** 2
        channels = width
        if side >= 8:
            side, width = side / 2, min(2 * width, 4 * config["width"])
    return 1.0 + operations / 4e6 + 16 / config["batch_size"]


def _paired(run: Run) -> Measurement:
    return replace(run.at_best, val_loss_se=PAIRED * run.at_best.val_loss_se)
