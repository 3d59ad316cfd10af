"""`gapsearch confirm best.yaml`: the winner on the test split, which the search never saw.

The lowest of many noisy validation losses is too good to be true. So the configuration is trained again with fresh
seeds, and measured on validation and test images alike. The recorded loss is compared with the fresh one on the same
images: that tells luck. The fresh losses on both splits are compared: that tells how the splits differ.
"""

import contextlib
import functools
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch

from search.balance import counted_alike
from search.data.tensors import SearchData, held_out
from search.engine.interruption import Interruption
from search.errors import SearchInterrupted, UserError
from search.finals.predictions import keep_test_predictions
from search.insight.confirmed import table, verdicts
from search.insight.fresh_seeds import Trained, difference, figures, luck
from search.insight.per_class import per_class
from search.measurement import PerImage, share_error, standard_error
from search.results.best_yaml import Best, add_confirmation
from search.settings import resolve_devices
from search.show.text import plural
from search.training.evaluate import evaluate
from search.training.file_faults import write_patiently
from search.training.precision import Precision
from search.use.contenders import Contender, contenders, write_report_anew
from search.use.fresh import DIVERGED, Failure, Fresh, Job, Task, fingerprint_of, losses_of, train_fresh, trained
from search.use.kept_trainings import KeptTrainings
from search.use.openings import Openings
from search.use.retrain import images_of, load_sound, read_part, search_data
from search.workers.ray_cluster import connected

logger = logging.getLogger(__name__)

FRESH = 1_000_003  # added to the recorded seed for the first fresh one
MOST_CLASSES = 100  # that best.yaml tells of, the worst ones


def confirm(
    path: Path,
    data_root: Path | None,
    device: str,
    seeds: int,
    top: int = 1,
    storage: str | None = None,
    ray: str | None = None,
) -> dict[str, Any]:
    """Train with that many fresh seeds, measure on the test split, write the figures into best.yaml and the report.

    data_root: None for where the images lay.
    top: configurations that are trained, the chosen one and those that it is held against, with the same seeds.
    storage: URL of the study's database, see `search.results.storage.storage_url`.
    ray: address of a Ray cluster to train on, see `search.workers.ray_cluster`; None for processes of this machine.

    What an earlier start has trained is not trained again. Raises UserError where images or best.pt are not those of
    best.yaml, where there is no study for `top`, and where a training fails; SearchInterrupted after Ctrl-C or SIGTERM.
    """
    best = load_sound(path)
    best.require_weights()
    field = contenders(path, best, top, storage)
    data, test = _images(best, data_root)
    devices = resolve_devices(device)
    task = Task(path, fingerprint_of(path, best), data, test)
    identity = task.identity(devices[0])
    openings = Openings(path.parent, identity)
    _announce(field, seeds, len(test.labels))
    exported = _exported_figures(path, best, test)  # first: where it fails, nothing has been trained in vain
    kept = KeptTrainings(path, identity)
    numbers = [best.seed + FRESH + number for number in range(seeds)]
    _train_missing(task, kept, devices, ray, [(one.candidate, seed) for one in field for seed in numbers])
    found = _measured(field, numbers, kept, data.val_labels, test) | {"openings": openings.count} | exported
    _record(path, best, found)
    openings.end()
    kept.remove()
    _tell(path, best, found, storage)
    return found


def _measured(
    field: Sequence[Contender], seeds: Sequence[int], kept: KeptTrainings, val_labels: np.ndarray, test: SearchData
) -> dict[str, Any]:
    """What `summarize` says by the seeds with which the choice did not diverge, and of the rivals that did with none.

    Raises UserError where it diverged with all.
    """
    good = [seed for seed in seeds if (field[0].candidate.trial, seed) in kept.done]
    if not good:
        raise UserError(
            f"with all of {plural(len(seeds), 'fresh seed')} the training diverged; take another configuration"
        )
    whole = [one for one in field if all((one.candidate.trial, seed) in kept.done for seed in good)]
    for one in field:
        if one not in whole:
            logger.info(f"trial {one.candidate.trial}, the {one.role}, is left out: it diverged with one of the seeds")
    runs = [[kept.done[one.candidate.trial, seed] for seed in good] for one in whole]
    diverged = [seed for seed in seeds if seed not in good]
    return {"seeds": good, "diverged": diverged} | summarize(whole, runs, val_labels, test)


def _images(best: Best, data_root: Path | None) -> tuple[SearchData, SearchData]:
    """Those of the search, and those of the test split."""
    root = images_of(best, data_root)
    data = search_data(best, root)
    return data, held_out(read_part(best, "test", root), data)


def _tell(path: Path, best: Best, found: Mapping[str, Any], storage: str | None) -> None:
    for line in [*table(best.metrics, found), *verdicts(best.metrics, found)]:
        logger.info(line)
    logger.info(f"report: {write_report_anew(path, best, storage)}")


def summarize(
    field: Sequence[Contender], runs: Sequence[Sequence[Fresh]], val_labels: np.ndarray, test: SearchData
) -> dict[str, Any]:
    """What the trainings say of the choice and of those that it is held against, with standard errors.

    field: the choice first. runs: of each, by the same seeds.
    """
    chosen, *others = [_trained(of_one, val_labels, test) for of_one in runs]
    predicted = np.stack([np.frombuffer(run.test_predicted, dtype=np.int32) for run in runs[0]])
    classes = per_class(test.labels, predicted, test.classes)
    return {
        **figures(chosen),
        **luck(field[0].val_loss, chosen),
        "others": [
            {
                "trial": one.candidate.trial,
                "role": one.role,
                "recorded_val_loss": one.val_loss,
                "recorded_gap": one.gap,
                **figures(trained),
                **difference(chosen, trained),
            }
            for one, trained in zip(field[1:], others, strict=True)
        ],
        "classes": [asdict(one) for one in classes[:MOST_CLASSES]],
    }


def _trained(runs: Sequence[Fresh], val_labels: np.ndarray, test: SearchData) -> Trained:
    val_correct = np.stack([np.frombuffer(run.val_correct, dtype=bool) for run in runs])
    test_correct = np.stack([np.frombuffer(run.test_correct, dtype=bool) for run in runs])
    return Trained(
        train_losses=np.stack([losses_of(run.train_losses) for run in runs]),
        val_losses=np.stack([losses_of(run.val_losses) for run in runs]),
        val_correct=val_correct,
        test_losses=np.stack([losses_of(run.test_losses) for run in runs]),
        test_correct=test_correct,
        val_alike=counted_alike(val_correct, val_labels) if test.uneven else None,
        test_alike=counted_alike(test_correct, test.labels) if test.uneven else None,
    )


def _announce(field: Sequence[Contender], seeds: int, images: int) -> None:
    trainings = f"{plural(len(field) * seeds, 'training')} of {field[0].candidate.epochs} epochs"
    if len(field) > 1:
        named = ", ".join(f"trial {one.candidate.trial} (the {one.role})" for one in field)
        trainings = f"{plural(len(field) * seeds, 'training')}, with {plural(seeds, 'seed')} each: {named}"
    logger.info(f"{trainings}; each is measured on {images:,} test images")


def _train_missing(
    task: Task, kept: KeptTrainings, devices: Sequence[str], ray: str | None, jobs: Sequence[Job]
) -> None:
    """Train the `jobs` that are not kept yet. Those that diverge would do so again: that is a result, no failure."""
    missing = [job for job in jobs if _key(job) not in kept.done]
    for job in jobs:
        if job not in missing:
            logger.info(f"trained before: {_line(kept.done[_key(job)])}")
    with connected(ray), Interruption(lambda: None) as interruption:
        ended = _train(task, kept, devices, ray, missing, interruption)
    failures = [failure for failure in ended if failure.reason != DIVERGED]
    done = sum(_key(job) in kept.done for job in jobs) + len(ended) - len(failures)
    stand = f"{done} of {len(jobs)} trainings are kept, and the same command trains the others alone"
    if done < len(jobs) and interruption.signal is not None:
        raise SearchInterrupted(interruption.signal, stand)
    if failures:
        first = failures[0]
        raise UserError(f"the training of trial {first.trial} with seed {first.seed} failed: {first.reason}; {stand}")


def _key(job: Job) -> tuple[int, int]:
    """By which its training is kept: trial and seed."""
    candidate, seed = job
    return candidate.trial, seed


def places(devices: Sequence[str]) -> Sequence[str]:
    """The devices of trainings side by side: on a CPU as many as there are cores, one on each GPU."""
    return list(devices) * joblib.cpu_count() if devices[0] == "cpu" else devices


def _train(
    task: Task,
    kept: KeptTrainings,
    devices: Sequence[str],
    ray: str | None,
    jobs: Sequence[Job],
    interruption: Interruption,
) -> list[Failure]:
    """Train each of `jobs` and keep it, until a signal is seen; returns those that failed."""
    failures, told = list[Failure](), set[str]()

    def go_on() -> bool:
        interruption.beat()
        return interruption.signal is None

    def say(text: str) -> None:
        if text not in told:
            logger.warning(text)
        told.add(text)

    with contextlib.closing(_trained_somewhere(task, jobs, devices, ray, go_on)) as results:
        for number, result in enumerate(results, start=1):
            if isinstance(result, Failure):
                failures.append(result)
                logger.warning(f"[{number}/{len(jobs)}] the training with seed {result.seed} failed: {result.reason}")
            else:
                logger.info(f"[{number}/{len(jobs)}] {_line(result)}")
                keep = functools.partial(kept.add, result)
                write_patiently(keep, kept.path.parent, say, lambda: not go_on())
    return failures


def _trained_somewhere(
    task: Task, jobs: Sequence[Job], devices: Sequence[str], ray: str | None, go_on: Callable[[], bool]
) -> Generator[Fresh | Failure, None, None]:
    if ray is None:
        return train_fresh(task, jobs, places(devices), go_on)
    from search.use import ray_fresh

    return ray_fresh.train_fresh(task, jobs, torch.device(devices[0]).type, go_on, trained)


def _line(one: Fresh) -> str:
    return (
        f"trial {one.trial}  val_loss {one.val_loss:.4f}  test_loss {one.test_loss:.4f}  "
        f"accuracy {one.test_accuracy:.1%}"
    )


def _exported_figures(path: Path, best: Best, test: SearchData) -> dict[str, Any]:
    """Of best.pt itself on the test images. What it says of each is kept beside best.yaml, for the report."""
    keep_test_predictions(best, test, path.parent)
    images = test.to(torch.device("cpu"))
    exported = evaluate(best.trained(), images, images.val, Precision.of(best.environment))
    own = _on_test("exported", exported, test.labels)
    return {"test_images": len(test.labels), **own, **_ensemble_figures(best, test)}


def _ensemble_figures(best: Best, test: SearchData) -> dict[str, float]:
    """Of ensemble.pt on the test images, where there is one."""
    if best.ensemble is None:
        return {}
    try:
        networks = best.trained_ensemble()
    except UserError as error:
        logger.info(f"without the ensemble: {error}")
        return {}
    images = test.to(torch.device("cpu"))
    averaged = evaluate(networks, images, images.val, Precision.of(best.environment))
    return _on_test("ensemble", averaged, test.labels)


def _on_test(name: str, found: PerImage, labels: np.ndarray) -> dict[str, float]:
    """The figures of weights on the test images, under names that begin with `name`. labels: of these images."""
    balanced = {}
    if found.balanced_accuracy is not None:
        balanced = {
            f"{name}_test_balanced_accuracy": found.balanced_accuracy,
            f"{name}_test_balanced_accuracy_se": standard_error(counted_alike(found.correct, labels)),
        }
    return balanced | {
        f"{name}_test_loss": float(found.losses.mean(dtype="float64")),
        f"{name}_test_loss_se": standard_error(found.losses),
        f"{name}_test_accuracy": float(found.correct.mean()),
        f"{name}_test_accuracy_se": share_error(float(found.correct.mean()), len(found.correct)),
    }


def _record(path: Path, best: Best, found: Mapping[str, Any]) -> None:
    """Raises UserError where best.yaml cannot be written."""
    try:
        add_confirmation(path, best, found)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}; mend that and start again, nothing is trained anew"
        ) from None
