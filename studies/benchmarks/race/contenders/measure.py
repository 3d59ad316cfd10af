"""Measure on the test images what a contender takes home: kept weights, kept Keras models, or a best.yaml.

    python -m studies.benchmarks.race.contenders.measure SECONDS ... [flags of a task]

Prints a line of JSON for each of SECONDS: what would have been taken home by then.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search.data import datasets
from search.data.tensors import SearchData, held_out
from search.results.best_yaml import Best
from search.results.run_folder import Result
from search.training.evaluate import evaluate
from search.training.precision import Precision
from studies.benchmarks.race.contenders.task import Task, parse

TEST_IMAGES = 5000


def kept_by(kept: list[dict[str, Any]], seconds: float) -> dict[str, Any] | None:
    """The kept epoch of lowest validation loss among those measured within the first `seconds`."""
    return min((one for one in kept if one["seconds"] <= seconds), key=lambda one: one["val_loss"], default=None)


def test_split(task: Task, data: SearchData) -> SearchData:
    """The test images, the same for all."""
    size = 32 if task.dataset == "folder" else None
    return held_out(datasets.load(task.dataset, "test", task.data_root, image_size=size), data)


def some(count: int) -> np.ndarray:
    """Which of the test images are measured on: at most `TEST_IMAGES`, without regard to their order."""
    return np.random.default_rng(0).permutation(count)[:TEST_IMAGES]


def on_test(task: Task, data: SearchData, test: SearchData, one: dict[str, Any]) -> tuple[float, float]:
    """Test loss and accuracy of a kept epoch."""
    place = task.folder / "kept" / one["weights"]
    images = some(len(test.labels))
    if place.with_suffix(".keras").exists():
        return _of_keras(place.with_suffix(".keras"), test, images)
    from studies.benchmarks.race.contenders.training import PLAIN, network

    model = network(one["config"], data)
    model.load_state_dict(torch.load(place.with_suffix(".weights"), weights_only=True))
    measured = evaluate(model, test.to(torch.device("cpu")), torch.from_numpy(images), PLAIN)
    return float(measured.losses.mean()), float(measured.correct.mean())


def _of_ours(best: Best, test: SearchData) -> tuple[float, float]:
    images = torch.from_numpy(some(len(test.labels)))
    precision = Precision.of(best.environment)
    measured = evaluate(best.trained(), test.to(torch.device("cpu")), images, precision)
    return float(measured.losses.mean()), float(measured.correct.mean())


def _tell(after: float, on_test_images: tuple[float, float], val_loss: float, gap: float) -> None:
    loss, accuracy = on_test_images
    figures = {"after": after, "test_loss": loss, "test_accuracy": accuracy, "val_loss": val_loss, "gap": gap}
    print(json.dumps(figures), flush=True)


def _of_keras(path: Path, test: SearchData, images: np.ndarray) -> tuple[float, float]:
    import keras

    pixels = np.load(test.images, mmap_mode="r")[np.sort(images)].transpose(0, 2, 3, 1)
    labels = test.labels[np.sort(images)]
    logits = torch.tensor(keras.models.load_model(path, compile=False).predict(np.ascontiguousarray(pixels), verbose=0))
    accuracy = (logits.argmax(dim=1).numpy() == labels).mean()
    return float(torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels))), float(accuracy)


def main() -> None:
    """Measure what is in the folder of a task."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seconds", nargs="+", type=float)
    options, sys.argv[1:] = parser.parse_known_args()
    task = parse()
    data = task.data()
    test = test_split(task, data)
    best = Result(task.folder / "run").best
    if best is not None:
        _tell(options.seconds[0], _of_ours(best, test), best.metrics["val_loss"], best.metrics["gap"])
    kept = [json.loads(path.read_text()) for path in sorted((task.folder / "kept").glob("*.json"))]
    for seconds in options.seconds:
        one = kept_by(kept, seconds)
        if one is not None:
            _tell(seconds, on_test(task, data, test, one), one["val_loss"], one["val_loss"] - one["train_loss"])


if __name__ == "__main__":
    main()
