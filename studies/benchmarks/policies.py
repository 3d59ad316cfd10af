"""Policies for the replay: the project's own rules, and what anybody would try first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from replay import Policy, Run
from search.stopping import Curve, HopelessRule, OverfitRule

Settings = tuple[tuple[str, Any], ...]  # of a rule, where they are not the defaults; hashable


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
    """The epochs that another policy gives, dealt out to the same runs at random."""

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
    """How many epochs the overfitting rule gives a run: no other run has a say in it."""
    rule = OverfitRule(**dict(settings))
    for epoch in range(run.epochs):
        z = run.val_rise_z[epoch]
        recorded = None if math.isnan(z) else float(z)
        if rule.update(run.train_loss[epoch], run.val_loss[epoch], rise_z=recorded).stop:
            return epoch + 1
    return run.epochs


@dataclass(frozen=True)
class Rules:
    """The whole of our rules, one run after the other, in the order of a trial: overfitting first, then hopeless."""

    overfit: Settings = ()
    hopeless: Settings = ()

    def __call__(self, runs: Sequence[Run], rng: np.random.Generator) -> list[int]:
        rule = HopelessRule(**dict(self.hopeless))
        given: list[int] = []
        for run in runs:
            others = [_curve(other, epochs) for other, epochs in zip(runs, given, strict=False)]
            given.append(self._given(rule, run, others))
        return given

    def _given(self, rule: HopelessRule, run: Run, others: Sequence[Curve]) -> int:
        end = overfit_stop(run, self.overfit)
        for epochs in range(1, end):
            if rule.update(_curve(run, epochs), others).stop:
                return epochs
        return end


def _curve(run: Run, epochs: int) -> Curve:
    return Curve(run.val_loss[:epochs], run.gap[:epochs], run.val_loss_se[:epochs])


DEFAULT = Rules()


def sweep() -> dict[str, Policy]:
    """Our rules with thresholds from strict to lenient; the default is marked."""
    ends = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
    marked = {end: " (default)" if end == HopelessRule().end else "" for end in ends}
    return {f"end = {end}{marked[end]}": Rules(hopeless=(("start", end + 0.18), ("end", end))) for end in ends}
