"""How much work was done twice, from what the networks of `counted_space.py` have written down."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Training(NamedTuple):
    """What is trained: a trial, or one again in the race."""

    seed: int  # all that are trained again in one round of the race have the same
    config: int  # a hash of it


class Step(NamedTuple):
    """One training step, as a line of the file has it."""

    training: Training
    process: int
    number: int  # from 1
    images: int
    time: float  # seconds since the epoch, when it began


class Repeated(NamedTuple):
    """What one interruption cost."""

    training: Training
    images: int
    seconds: float


def read_steps(path: Path) -> list[Step]:
    """In the order of writing."""
    rows = [line.split() for line in path.read_text().splitlines()] if path.is_file() else []
    return [
        Step(Training(int(seed), int(config)), int(process), int(number), int(images), float(time))
        for seed, config, process, number, images, time in rows
    ]


def repeated(steps: list[Step]) -> Iterator[Repeated]:
    """One for each time that a training was taken up again: the steps that had been done before."""
    trainings = defaultdict[Training, dict[int, list[Step]]](lambda: defaultdict(list))
    for step in steps:
        trainings[step.training][step.process].append(step)
    for training, parts in trainings.items():
        done: dict[int, tuple[int, float]] = {}  # images and seconds of each step so far
        for part in parts.values():
            if done:
                again = [cost for number, cost in done.items() if number >= part[0].number]
                yield Repeated(training, sum(images for images, _ in again), sum(seconds for _, seconds in again))
            done |= _costs(part)


def of_the_race(steps: list[Step]) -> set[Training]:
    """Trainings whose seed another one has too: those of the race, which leave no checkpoints."""
    trainings = {step.training for step in steps}
    times = Counter(training.seed for training in trainings)
    return {training for training in trainings if times[training.seed] > 1}


def _costs(part: list[Step]) -> dict[int, tuple[int, float]]:
    """What each step of one process took: until the next began, with the epoch's measurements perhaps.

    The last one, in the middle of which it was killed perhaps, counts like the one before it.
    """
    ends = [following.time for following in part[1:]]
    took = [end - step.time for step, end in zip(part, ends, strict=False)]
    took.append(took[-1] if took else 0.0)
    return {step.number: (step.images, seconds) for step, seconds in zip(part, took, strict=True)}
