"""Seed noise: by how much a validation loss changes when the same configuration is trained with another seed.

It is measured, where the budget allows, by training the best few once or twice more after the last trial.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from search.choice.choose import candidates
from search.choice.run import Run

TOP = 3  # configurations that are repeated
ROUNDS = 2  # repeats of each, if both are affordable
SHARE = 0.15  # of the epochs trained so far, which the repeats may cost


@dataclass(frozen=True)
class Repeat:
    """What a trial's configuration came to with another seed."""

    trial: int  # number of the trial that is repeated
    seed: int
    val_loss: float  # the lowest within as many epochs as the trial took to its best one, in nats
    gap: float  # at that epoch
    epochs: int  # trained


def plan_repeats(runs: Sequence[Run], done: Sequence[Repeat], epochs_trained: int) -> list[Run]:
    """The runs to train again, best first; each appears once for each repeat that it still lacks.

    A round repeats each of the best `TOP` feasible runs, to its best epoch. It is done where all repeats together
    cost at most `SHARE` of `epochs_trained`; fewer than one full round would say too little.
    """
    top = candidates(runs)[:TOP]
    if len(top) < TOP:
        return []
    budget = SHARE * epochs_trained - sum(repeat.epochs for repeat in done)
    had: dict[int, int] = defaultdict(int)
    for repeat in done:
        had[repeat.trial] += 1
    planned: list[Run] = []
    for number in range(ROUNDS):
        missing = [run for run in top if had[run.number] <= number]
        budget -= sum(run.best_epoch + 1 for run in missing)
        if budget < 0:
            break
        planned += missing
    return planned


def seed_std(runs: Sequence[Run], repeats: Sequence[Repeat]) -> float | None:
    """Standard deviation of `val_loss` (nats) over seeds, pooled over the repeated configurations; None without any.

    Pooled: the sums of squares about each configuration's mean, by their degrees of freedom. The run that was repeated
    is counted too; as it was picked for its low loss, the figure errs upwards a little.
    """
    repeated = {repeat.trial for repeat in repeats}
    losses = {run.number: [run.at_best.val_loss] for run in runs if run.number in repeated}
    for repeat in repeats:
        if repeat.trial in losses and math.isfinite(repeat.val_loss):
            losses[repeat.trial].append(repeat.val_loss)
    groups = [values for values in losses.values() if len(values) > 1]
    freedom = sum(len(values) - 1 for values in groups)
    if not freedom:
        return None
    return math.sqrt(sum(_squares(values) for values in groups) / freedom)


def _squares(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)
