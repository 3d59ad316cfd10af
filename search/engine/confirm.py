"""`gapsearch confirm best.yaml`: the winner on the test split, which the search never saw.

The lowest of many noisy validation losses is too good to be true. So the configuration is trained again with
fresh seeds, and measured on validation and test images alike: the difference to what the search recorded is
its optimism, and it is printed.
"""

import logging
import math
import multiprocessing
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import torch

from search.data.tensors import SearchData, held_out
from search.engine.retrain import load_sound, read_part, search_data
from search.measurement import PerImage, measure, standard_error
from search.processes import hidden_main
from search.results.best_yaml import Best, add_confirmation, load
from search.settings import resolve_devices
from search.training.evaluate import evaluate
from search.training.precision import Precision
from search.training.trainer import Trainer

logger = logging.getLogger(__name__)

FRESH = 1_000_003  # added to the recorded seed for the first fresh one


@dataclass(frozen=True)
class Fresh:
    """One training with a fresh seed, at the recorded number of epochs. Losses in nats."""

    seed: int
    train_loss: float
    val_loss: float
    test_loss: float
    test_accuracy: float


def confirm(path: Path, data_root: Path, device: str, seeds: int) -> dict[str, Any]:
    """Train with that many fresh seeds, measure on the test split, and write the figures into best.yaml.

    Raises UserError where the data is not what the configuration was found on, and where best.pt is not the one that
    belongs to best.yaml.
    """
    best = load_sound(path)
    best.require_weights()
    data = search_data(best, data_root)
    test = held_out(read_part(best, "test", data_root), data)
    devices = resolve_devices(device)
    logger.info(f"{seeds} trainings of {best.epochs} epochs, each measured on {len(test.labels):,} test images")
    exported = _measure_exported(best, test)  # first: where it fails, nothing has been trained in vain
    runs = _train_all(path, data, test, devices, [best.seed + FRESH + number for number in range(seeds)])
    found = {
        **summarize(best, runs),
        "test_images": len(test.labels),
        "exported_test_loss": float(exported.losses.mean(dtype="float64")),
        "exported_test_loss_se": standard_error(exported.losses),
        "exported_test_accuracy": float(exported.correct.mean()),
    }
    add_confirmation(path, best, found)
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


def _train_all(
    path: Path, data: SearchData, test: SearchData, devices: Sequence[str], seeds: Sequence[int]
) -> list[Fresh]:
    """Side by side: on a CPU as many as there are cores, one on each GPU."""
    places = joblib.cpu_count() if devices[0] == "cpu" else len(devices)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["search.engine.preload", "search.engine.confirm"])
    with ProcessPoolExecutor(min(places, len(seeds)), context) as pool:
        with hidden_main():
            jobs = [
                pool.submit(_train, path, data, test, devices[number % len(devices)], seed)
                for number, seed in enumerate(seeds)
            ]
        runs = []
        for job in as_completed(jobs):
            runs.append(job.result())
            logger.info(
                f"[{len(runs)}/{len(seeds)}] val_loss {runs[-1].val_loss:.4f}  test_loss {runs[-1].test_loss:.4f}  "
                f"accuracy {runs[-1].test_accuracy:.1%}"
            )
    return sorted(runs, key=lambda run: run.seed)


def _measure_exported(best: Best, test: SearchData) -> PerImage:
    """best.pt itself on the test images."""
    images = torch.arange(len(test.labels))
    return evaluate(best.trained(), test.to(torch.device("cpu")), images, Precision.of(best.environment))


def _train(path: Path, data: SearchData, test: SearchData, device: str, seed: int) -> Fresh:
    best, where = load(path), torch.device(device)
    torch.set_num_threads(best.environment["threads"])
    precision = Precision.of(best.environment)
    trainer = Trainer(best.build_network, best.config, data.to(where), seed=seed, precision=precision)
    for _ in range(best.epochs):
        epoch = trainer.epoch()
    on_device = test.to(where)
    result = measure(epoch.train, epoch.val)
    on_test = evaluate(trainer.averaged, on_device, on_device.val, precision)
    return Fresh(
        seed=seed,
        train_loss=result.train_loss,
        val_loss=result.val_loss,
        test_loss=float(on_test.losses.mean(dtype="float64")),
        test_accuracy=float(on_test.correct.mean()),
    )
