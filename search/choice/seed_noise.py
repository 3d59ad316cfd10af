"""Seed noise: by how much a validation loss changes when the same configuration is trained with another seed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from search.choice.run import Run
from search.measurement import Measurement


@dataclass(frozen=True)
class Repeat:
    """What a trial's configuration came to with another seed, after as many epochs as the trial took to its best one.

    Measured at its last epoch, so nothing about it was picked. Losses are infinite where the training failed.
    """

    trial: int  # number of the trial that is repeated
    index: int  # of the seed, from 1; the same index is the same seed for all trials
    seed: int
    val_loss: float  # in nats
    train_loss: float
    val_accuracy: float  # in [0, 1]
    train_accuracy: float
    epochs: int  # trained

    @property
    def gap(self) -> float:
        """`val_loss - train_loss`, signed."""
        return self.val_loss - self.train_loss

    @property
    def failed(self) -> bool:
        """Whether its training came to no finite loss."""
        return not (math.isfinite(self.val_loss) and math.isfinite(self.train_loss))


def failed_repeat(trial: int, index: int, seed: int, epochs: int) -> Repeat:
    """A training that came to nothing."""
    return Repeat(trial, index, seed, math.inf, 0.0, 0.0, 0.0, epochs)


def repeat_of(trial: int, index: int, seed: int, measured: Measurement, epochs: int) -> Repeat:
    """A training that ended with these figures."""
    if not (math.isfinite(measured.val_loss) and math.isfinite(measured.train_loss)):
        return failed_repeat(trial, index, seed, epochs)
    losses = measured.val_loss, measured.train_loss
    return Repeat(trial, index, seed, *losses, measured.val_accuracy, measured.train_accuracy, epochs)


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
