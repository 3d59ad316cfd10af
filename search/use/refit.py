"""`gapsearch refit best.yaml`: train on the train and the validation split together, for use.

The search needed the validation images to choose; the network that is shipped may learn from them too. Nothing is left
to choose by then: the number of epochs is the one that was found, so that more images have more steps; the weights are
those of the first seed; and the test split is measured once, at the end.
"""

import contextlib
import functools
import logging
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search.data.splits import Splits
from search.data.tensors import DeviceData, SearchData, held_out
from search.errors import UserError, described
from search.insight.imbalance import balanced_accuracy
from search.measurement import PerImage, share_error, standard_error
from search.results import best_yaml
from search.results.best_yaml import Best
from search.settings import resolve_devices
from search.show.text import plural
from search.training.annealed import AnnealedTrainer
from search.training.evaluate import evaluate
from search.training.precision import Precision
from search.training.trainer import Trainer
from search.use.fresh import DIVERGED, Candidate, Failure, Task, fingerprint_of
from search.use.openings import Openings
from search.use.retrain import images_of, load_sound, read_part, search_data
from search.workers.ray_cluster import connected

logger = logging.getLogger(__name__)

FIRST = 2_000_003  # added to the recorded seed for the first one
NAME = "final"  # of the files
OF_BEST_PT = ("build_network", "weights_file", "weights_sha256", "confirmation", "ensemble")
PASSED_ON = [field.name for field in fields(Best) if field.name not in OF_BEST_PT]  # from best.yaml to final.yaml


@dataclass(frozen=True)
class Refitted:
    """One training: its averaged weights, and what they do on the train probe and on the test images."""

    seed: int
    weights: dict[str, torch.Tensor]
    train: PerImage
    test: PerImage


def refit(
    path: Path, data_root: Path | None, device: str, seeds: int, *, anneal: bool, ray: str | None = None
) -> dict[str, Any]:
    """Train with that many seeds, measure on the test split, write final.yaml and final.pt beside best.yaml.

    data_root: None for where the images lay.
    ray: address of a Ray cluster to train on, see `search.workers.ray_cluster`; None for one training after the other.

    Returns the figures, `refit` in final.yaml; a later seed that fails is left out of the means. Raises UserError where
    the data is not what the configuration was found on, the first training fails, or a file cannot be written.
    """
    best = load_sound(path)
    root = images_of(best, data_root)
    data = search_data(best, root)
    test = held_out(read_part(best, "test", root), data)
    where = torch.device(resolve_devices(device)[0])
    task = Task(path, fingerprint_of(path, best), data, test)
    openings = Openings(path.parent, f"refit {task.identity(str(where))}")
    everything = together(data, probe=len(test.labels))
    logger.info(
        f"{plural(seeds, 'training')} of {plural(best.epochs, 'epoch')} on {len(everything.splits.train):,} images, "
        f"in place of {len(data.splits.train):,}; measured on {len(test.labels):,} test images"
    )
    task, numbers = replace(task, data=everything), [best.seed + FIRST + number for number in range(seeds)]
    done, failed = list[Refitted](), list[int]()
    with contextlib.nullcontext() if ray is None else connected(ray):
        for run in (_trained_here if ray is None else _trained_on_ray)(task, best, numbers, where, anneal=anneal):
            if isinstance(run, Failure):
                _say_failed(run, first=run.seed == numbers[0])
                failed.append(run.seed)
            else:
                done = sorted([*done, run], key=lambda one: one.seed)
            if done and done[0].seed == numbers[0]:  # written at once: no later training can cost it
                found = summarize(done, len(everything.splits.train), best.epochs, anneal=anneal)
                found |= {"openings": openings.count, "failed": sorted(failed)}
                _write(path, best, found, done[0])
    openings.end()
    for line in (*told(found), f"written: {path.with_name(NAME + '.yaml')} and its weights, {NAME}.pt"):
        logger.info(line)
    return found


def together(data: SearchData, probe: int) -> SearchData:
    """`data` with its train and validation split as one train split. probe: images that measure its loss, at most."""
    train = np.sort(np.concatenate([data.splits.train, data.splits.val]))
    some = np.random.default_rng(0).permutation(train)[:probe]
    return replace(data, splits=Splits(train=train, val=np.arange(0), probe=np.sort(some)))


def _trained_here(
    task: Task, best: Best, seeds: Sequence[int], device: torch.device, *, anneal: bool
) -> Iterator[Refitted | Failure]:
    """One training with each seed, which may fail in a user's own network."""
    data, test = task.data.to(device), task.test.to(device)
    for seed in seeds:
        try:
            yield train(best, data, test, seed, best.epochs, anneal=anneal)
        except (Exception, SystemExit) as error:
            yield Failure(best.trial, seed, str(error) if isinstance(error, UserError) else described(error))


def _say_failed(failure: Failure, *, first: bool) -> None:
    """Raises UserError where it is the first training, whose weights are taken home."""
    said = f"the training with seed {failure.seed} failed: {failure.reason}"
    if first:
        raise UserError(f"{said}; nothing is written")
    logger.warning(f"{said}; it is left out of the means")


def train(best: Best, data: DeviceData, test: DeviceData, seed: int, epochs: int, *, anneal: bool) -> Refitted:
    """One training to its end, on the device of the images. Raises UserError where it has diverged by then."""
    precision = Precision.of(best.environment)
    torch.set_num_threads(best.environment["threads"])
    trainer: Trainer
    if anneal:
        trainer = AnnealedTrainer(best.build_network, best.config, data, seed=seed, precision=precision, epochs=epochs)
    else:
        trainer = Trainer(best.build_network, best.config, data, seed=seed, precision=precision)
    for number in range(epochs):
        trainer.train_epoch()
        logger.info(f"seed {seed}: epoch {number + 1} of {epochs}")
    on_train = evaluate(trainer.averaged, data, data.probe, precision)
    if not np.isfinite(on_train.losses).all():
        raise UserError(DIVERGED)
    on_test = evaluate(trainer.averaged, test, test.val, precision)
    return Refitted(seed, trainer.weights(), on_train, on_test)


def _trained_on_ray(
    task: Task, best: Best, seeds: Sequence[int], device: torch.device, *, anneal: bool
) -> Iterator[Refitted | Failure]:
    """One training with each seed, in the order in which they end."""
    from search.use import ray_fresh

    candidate = Candidate(best.trial, best.config, best.epochs)
    jobs, one = [(candidate, seed) for seed in seeds], functools.partial(_trained, anneal=anneal)
    with contextlib.closing(ray_fresh.train_fresh(task, jobs, device.type, lambda: True, one)) as runs:
        for number, run in enumerate(runs, start=1):
            if not isinstance(run, Failure):
                logger.info(f"[{number}/{len(jobs)}] seed {run.seed} is trained")
            yield run


def _trained(task: Task, device: torch.device, candidate: Candidate, seed: int, *, anneal: bool) -> Refitted | str:
    """On a node; what went wrong, where that is no fault of the network."""
    try:
        best = task.best()
        return train(best, task.data.to(device), task.test.to(device), seed, candidate.epochs, anneal=anneal)
    except UserError as error:
        return str(error)


def summarize(runs: Sequence[Refitted], images: int, epochs: int, *, anneal: bool) -> dict[str, Any]:
    """The figures of final.yaml: those of the weights taken home, and the means over seeds."""
    first = runs[0]
    balanced = first.test.balanced_accuracy
    return {
        "images": images,
        "epochs": epochs,
        "annealed": anneal,
        "seeds": [run.seed for run in runs],
        "train_loss": _mean(first.train.losses),
        "test_loss": _mean(first.test.losses),
        "test_loss_se": standard_error(first.test.losses),
        "test_accuracy": _mean(first.test.correct),
        "test_accuracy_se": share_error(_mean(first.test.correct), len(first.test.correct)),
        **({} if balanced is None else {"test_balanced_accuracy": balanced}),
        "test_gap": _mean(first.test.losses) - _mean(first.train.losses),
        **_over_seeds([_mean(run.test.losses) for run in runs], "test_loss"),
        **_over_seeds([_mean(run.test.correct) for run in runs], "test_accuracy"),
    }


def told(found: dict[str, Any]) -> list[str]:
    """The figures in words."""
    lines = [
        f"final.pt, seed {found['seeds'][0]}: test_loss {found['test_loss']:.4f} ± {found['test_loss_se']:.4f}, "
        f"accuracy {found['test_accuracy']:.1%} ± {found['test_accuracy_se']:.1%}"
        f"{balanced_accuracy(found.get('test_balanced_accuracy'))}, gap {found['test_gap']:.4f}"
    ]
    if len(found["seeds"]) > 1:
        lines.append(
            f"mean of {len(found['seeds'])} seeds: test_loss {found['mean_test_loss']:.4f} "
            f"± {found['mean_test_loss_se']:.4f}, accuracy {found['mean_test_accuracy']:.1%} "
            f"± {found['mean_test_accuracy_se']:.1%} (over seeds)"
        )
    if found["failed"]:
        lines.append(f"{plural(len(found['failed']), 'seed')} failed, left out of the means: it may fail you too")
    if found["openings"] > 1:
        lines.append(f"the test split has been opened {found['openings']} times for this run folder")
    return lines


def _over_seeds(means: Sequence[float], name: str) -> dict[str, float]:
    """Mean and standard error over seeds; nothing for one of them."""
    if len(means) == 1:
        return {}
    return {
        f"mean_{name}": statistics.fmean(means),
        f"mean_{name}_se": statistics.stdev(means) / len(means) ** 0.5,
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean(dtype=np.float64))


def _write(path: Path, best: Best, found: dict[str, Any], run: Refitted) -> None:
    """What was trained is described, whatever a search has written to best.yaml meanwhile."""
    content = {name: value for name in PASSED_ON if (value := getattr(best, name)) is not None}
    try:
        best_yaml.write(path.parent, content | {"seed": run.seed, "refit": found}, run.weights, NAME)
    except OSError as error:
        raise UserError(
            f"cannot write {path.with_name(NAME + '.yaml')}: {error.strerror}; mend that and start again"
        ) from None
