"""`gapsearch confirm best.yaml`: the winner on the test split, which the search never saw.

The lowest of many noisy validation losses is too good to be true. So the configuration is trained again with
fresh seeds, and measured on validation and test images alike: the difference to what the search recorded is
its optimism, and it is printed.
"""

import contextlib
import functools
import logging
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import torch

from search.data.tensors import SearchData, held_out
from search.engine.fresh import Failure, Fresh, Task, fingerprint_of, train_fresh
from search.engine.interruption import Interruption
from search.engine.kept_trainings import KeptTrainings
from search.engine.retrain import images_of, load_sound, read_part, search_data
from search.errors import SearchInterrupted, UserError
from search.measurement import PerImage, standard_error
from search.results.best_yaml import Best, add_confirmation
from search.settings import resolve_devices
from search.training.evaluate import evaluate
from search.training.file_faults import write_patiently
from search.training.precision import Precision

logger = logging.getLogger(__name__)

FRESH = 1_000_003  # added to the recorded seed for the first fresh one


def confirm(path: Path, data_root: Path | None, device: str, seeds: int) -> dict[str, Any]:
    """Train with that many fresh seeds, measure on the test split, and write the figures into best.yaml.

    data_root: None for where the images lay. What an earlier start has trained is not trained again.

    Raises UserError where the data is not what the configuration was found on, where best.pt is not the one that
    belongs to best.yaml, and where a training fails. Raises SearchInterrupted after Ctrl-C or SIGTERM.
    """
    best = load_sound(path)
    best.require_weights()
    root = images_of(best, data_root)
    data = search_data(best, root)
    test = held_out(read_part(best, "test", root), data)
    devices = resolve_devices(device)
    logger.info(f"{seeds} trainings of {best.epochs} epochs, each measured on {len(test.labels):,} test images")
    exported = _measure_exported(best, test)  # first: where it fails, nothing has been trained in vain
    task = Task(path, fingerprint_of(path, best), data, test)
    kept = KeptTrainings(path, task.identity(devices[0]))
    runs = _train_missing(task, kept, devices, [best.seed + FRESH + number for number in range(seeds)])
    found = {
        **summarize(best, runs),
        "test_images": len(test.labels),
        "exported_test_loss": float(exported.losses.mean(dtype="float64")),
        "exported_test_loss_se": standard_error(exported.losses),
        "exported_test_accuracy": float(exported.correct.mean()),
    }
    _record(path, best, found)
    kept.remove()
    for line in describe(best, found):
        logger.info(line)
    return found


def summarize(best: Best, runs: Sequence[Fresh]) -> dict[str, Any]:
    """Means over seeds with their standard errors, and what they say of the recorded figures."""
    found: dict[str, Any] = {"seeds": [run.seed for run in runs]}
    for name in ("train_loss", "val_loss", "test_loss", "test_accuracy"):
        values = [float(getattr(run, name)) for run in runs]
        found[name] = statistics.fmean(values)
        found[f"{name}_se"] = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    found["test_gap"] = found["test_loss"] - found["train_loss"]
    found["optimism"] = found["test_loss"] - best.metrics["val_loss"]
    found["optimism_of_the_seed"] = found["val_loss"] - best.metrics["val_loss"]
    return found


def describe(best: Best, found: dict[str, Any]) -> list[str]:
    """A confirmation in plain words."""
    recorded = best.metrics["val_loss"]
    return [
        f"recorded by the search: val_loss {recorded:.4f}, gap {best.metrics['gap']:.4f}",
        f"with fresh seeds:       val_loss {found['val_loss']:.4f}{_plus_minus(found['val_loss_se'])}: "
        f"the chosen seed was {abs(found['optimism_of_the_seed']):.4f} "
        f"{'lucky' if found['optimism_of_the_seed'] > 0 else 'unlucky'}",
        f"on the test split:      test_loss {found['test_loss']:.4f}{_plus_minus(found['test_loss_se'])}, "
        f"accuracy {found['test_accuracy']:.1%}, gap to the train probe {found['test_gap']:.4f}",
        f"optimism of the search: {found['optimism']:+.4f} ({found['optimism'] / recorded:+.0%} of the recorded loss)",
        f"best.pt itself:         test_loss {found['exported_test_loss']:.4f} ± {found['exported_test_loss_se']:.4f} "
        f"(of {found['test_images']:,} images), accuracy {found['exported_test_accuracy']:.1%}",
    ]


def _plus_minus(error: float | None) -> str:
    return "" if error is None else f" ± {error:.4f}"


def _train_missing(task: Task, kept: KeptTrainings, devices: Sequence[str], seeds: Sequence[int]) -> list[Fresh]:
    """The trainings of all `seeds`, in that order; those that are kept are not trained again."""
    missing = [seed for seed in seeds if seed not in kept.by_seed]
    for training in (kept.by_seed[seed] for seed in seeds if seed not in missing):
        logger.info(f"trained before: {_line(training)}")
    with Interruption(lambda: None) as interruption:
        failures = _train(task, kept, _places(devices), missing, interruption)
    done = sum(seed in kept.by_seed for seed in seeds)
    stand = f"{done} of {len(seeds)} trainings are kept, and the same command trains the others alone"
    if done < len(seeds) and interruption.signal is not None:
        raise SearchInterrupted(interruption.signal, stand)
    if failures:
        raise UserError(f"the training with seed {failures[0].seed} failed: {failures[0].reason}; {stand}")
    return [kept.by_seed[seed] for seed in seeds]


def _places(devices: Sequence[str]) -> Sequence[str]:
    """The devices of trainings side by side: on a CPU as many as there are cores, one on each GPU."""
    return list(devices) * joblib.cpu_count() if devices[0] == "cpu" else devices


def _train(
    task: Task, kept: KeptTrainings, places: Sequence[str], seeds: Sequence[int], interruption: Interruption
) -> list[Failure]:
    """Train each of `seeds` and keep it, until a signal is seen; returns those that failed."""
    failures, told = list[Failure](), set[str]()

    def go_on() -> bool:
        interruption.beat()
        return interruption.signal is None

    def say(text: str) -> None:
        if text not in told:
            logger.warning(text)
        told.add(text)

    with contextlib.closing(train_fresh(task, seeds, places, go_on)) as results:
        for number, result in enumerate(results, start=1):
            if isinstance(result, Failure):
                failures.append(result)
                logger.warning(f"[{number}/{len(seeds)}] the training with seed {result.seed} failed: {result.reason}")
            else:
                logger.info(f"[{number}/{len(seeds)}] {_line(result)}")
                keep = functools.partial(kept.add, result)
                write_patiently(keep, kept.path.parent, say, lambda: not go_on())
    return failures


def _line(training: Fresh) -> str:
    return (
        f"val_loss {training.val_loss:.4f}  test_loss {training.test_loss:.4f}  accuracy {training.test_accuracy:.1%}"
    )


def _measure_exported(best: Best, test: SearchData) -> PerImage:
    """best.pt itself on the test images."""
    images = torch.arange(len(test.labels))
    return evaluate(best.trained(), test.to(torch.device("cpu")), images, Precision.of(best.environment))


def _record(path: Path, best: Best, found: Mapping[str, Any]) -> None:
    """Raises UserError where best.yaml cannot be written."""
    try:
        add_confirmation(path, best, found)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}; mend that and start again, nothing is trained anew"
        ) from None
