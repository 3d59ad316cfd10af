"""Policies for the replay: the rules of this search, and simple alternatives."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from search.choice.choose import USEFUL
from search.stopping.hopeless import Curve, HopelessRule
from search.stopping.overfit import OverfitRule
from studies.benchmarks.pruning.replay import Policy, Run

Settings = tuple[tuple[str, Any], ...]  # of a rule, those that differ from its defaults; hashable


def no_pruning(runs: Sequence[Run], rng: np.random.Generator) -> list[int]:
    """Every run goes to its end."""
    return [run.epochs for run in runs]


@dataclass(frozen=True)
class Patience:
    """Usual early stopping: end a run `epochs` epochs after its last new best."""

    epochs: int

    def __call__(self, runs: Sequence[Run], rng: np.random.Generator) -> list[int]:
        return [self._given(run) for run in runs]

    def _given(self, run: Run) -> int:
        waited = np.arange(run.epochs) - np.maximum(run.best_by, 0)
        return min(int(np.argmax(waited >= self.epochs)) + 1, run.epochs) if waited.max() >= self.epochs else run.epochs


@dataclass(frozen=True)
class RandomPrune:
    """Give the epochs of another policy to the same runs at random."""

    like: Policy

    def __call__(self, runs: Sequence[Run], rng: np.random.Generator) -> list[int]:
        given = rng.permutation(self.like(runs, rng))
        return [min(int(epochs), run.epochs) for epochs, run in zip(given, runs, strict=True)]


@dataclass(frozen=True)
class Overfit:
    """The overfitting rule alone."""

    settings: Settings = ()

    def __call__(self, runs: Sequence[Run], rng: np.random.Generator) -> list[int]:
        return [overfit_stop(run, self.settings) for run in runs]


@cache
def overfit_stop(run: Run, settings: Settings) -> int:
    """The number of epochs that the overfitting rule gives a run. It does not depend on other runs."""
    rule = OverfitRule(**dict(settings))
    for epoch in range(run.epochs):
        z = float(run.val_rise_z[epoch])
        if rule.update(run.train_loss[epoch], run.val_loss[epoch], rise_z=z).stop:
            return epoch + 1
    return run.epochs


@dataclass(frozen=True)
class Rules:
    """All our rules, one run after the other. As in a trial, the overfitting rule decides before the hopeless rule."""

    overfit: Settings = ()
    hopeless: Settings = ()

    def __call__(self, runs: Sequence[Run], rng: np.random.Generator) -> list[int]:
        rule = HopelessRule(total_epochs=max(run.epochs for run in runs), **dict(self.hopeless))
        return [self._given(rule, number, run) for number, run in enumerate(runs)]

    def _given(self, rule: HopelessRule, number: int, run: Run) -> int:
        end = overfit_stop(run, self.overfit)
        for epochs in range(1, end + 1):
            if rule.update(number, _curve(run, epochs)).stop and epochs < end:
                return epochs
        rule.end(number, overfitted=end < run.epochs)
        return end


def _curve(run: Run, epochs: int) -> Curve:
    return Curve(run.val_loss[:epochs], run.gap[:epochs], run.val_loss_se[:epochs])


@dataclass(frozen=True)
class Oracle:
    """Knows after two epochs how a run would end, and keeps the runs that join the useful front of the runs before.

    No rule can do this: it is the limit.
    """

    def __call__(self, runs: Sequence[Run], rng: np.random.Generator) -> list[int]:
        ends = [run.objectives(run.epochs) for run in runs]
        return [
            overfit_stop(run, ()) if _joins(ends[number], ends[:number]) else min(2, run.epochs)
            for number, run in enumerate(runs)
        ]


def _joins(end: tuple[float, float], others: Sequence[tuple[float, float]]) -> bool:
    best = min((loss for loss, _ in others), default=math.inf)
    return end[0] <= (1 + USEFUL) * best and not any(loss <= end[0] and gap <= end[1] for loss, gap in others)


DEFAULT = Rules()


def sweep() -> dict[str, Policy]:
    """Our rules from strict to lenient: z is the benefit of the doubt in standard errors. The default is marked."""
    default = HopelessRule().z
    steps = sorted({0.0, 0.25, 0.5, 1.0, 1.25, 1.5, 2.0, 3.0, default})
    return {f"z = {z}{' (default)' if z == default else ''}": Rules(hopeless=(("z", z),)) for z in steps}
