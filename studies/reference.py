"""Train the networks of introductions to overfitting as a search measures its own: do they show what is said of them?

    python studies/reference.py --data FashionMNIST --data-root ../shared/data --train-size 9000 --val-size 3000
    python studies/reference.py --data CIFAR10 --beside runs/cifar10/best.yaml --seeds 5

`spaces/reference.py` holds the networks. Each is trained by the trainer of a search: AdamW at a constant learning rate
after a warm-up, losses measured on averaged weights, in eval mode, on images that are not augmented. The result is the
epoch with the lowest validation loss; the last epoch stands beside it. The texts measured otherwise: their train
accuracy is the running one, under dropout and augmentation, and early stopping ended their runs. Their Nadam is Adam
here, and their augmentation is the closest strength of ours, which has no vertical flips but changes colours and erases
squares.

With `--beside best.yaml` the configuration that a search chose is trained in the same way on the same images. Where
that search had a ceiling for the gap (`--max-gap`), its result is the best epoch under that ceiling, as in the search.
Test figures come from up to 2,000 images of the data set's own test split, at the best epoch.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the repository: modules are imported from there
from search.choice.constraints import Constraints
from search.choice.fit import fit_regime
from search.choice.run import best_epoch
from search.data import datasets
from search.data.tensors import DeviceData
from search.errors import UserError
from search.measurement import History, Measurement, measure
from search.results.best_yaml import load as load_best
from search.training.evaluate import evaluate
from search.training.linear_baseline import fit_baseline
from search.training.trainer import Build, Trainer
from spaces import reference
from studies.benchmarks.pruning.record import PRECISION, load

Run = Mapping[str, Any]  # a line of OUT: one training


@dataclass(frozen=True)
class Told:
    """What a text says of its network. Accuracies in percent, on all images of its data set."""

    says: str
    train: float | None = None
    validation: float | None = None


TOLD = {
    "fashion_plain": Told("overfits"),
    "cifar10_mlp": Told("underfits", 54.0, 51.2),
    "cifar10_large": Told("overfits", 98.4, 69.6),
    "cifar10_simple": Told("-", 86.5, 85.0),
    "cifar100_mlp": Told("-", 40.1, 24.3),
    "cifar100_mlp_wide": Told("twice the parameters, no better", 45.1, 25.3),
    "cifar100_large": Told("overfits", 95.7, 44.6),
    "cifar100_simple": Told("-", 63.7, 54.7),
    "cifar100_augmented": Told("-", 69.0, 55.3),
}


@dataclass(frozen=True)
class Contender:
    """A network to train."""

    name: str
    config: Mapping[str, Any]
    build: Build
    max_gap: float | None = None  # the ceiling of the search that chose it


@dataclass(frozen=True)
class Images:
    """What is trained and validated on, and the test images as another validation split; on the processor."""

    data: DeviceData
    test: DeviceData
    fingerprint: str
    baseline_loss: float  # of softmax regression on the pixels


def contenders(options: argparse.Namespace, images: Images) -> list[Contender]:
    """The networks named, or those that suit the images, grey or colour ones; and what a search chose.

    Raises UserError where that search saw other images.
    """
    grey = [name for name in reference.NETWORKS if name.startswith("fashion")]
    colour = [name for name in reference.NETWORKS if name not in grey]
    names = options.networks or (grey if images.data.images.shape[1] == 1 else colour)
    found = [Contender(name, reference.config(name), reference.build) for name in names]
    if options.beside is not None:
        best = load_best(options.beside)
        if best.data["fingerprint"] != images.fingerprint:
            raise UserError(
                f"{options.beside} was found on other images than those of --data {options.data}; name the same ones"
            )
        name, max_gap = f"trial {best.trial} of {best.study}", best.choice["max_gap"]
        found.append(Contender(name, best.config, best.build_network, max_gap))
    return found


def train(contender: Contender, seed: int, images: Images, epochs: int) -> dict[str, Any]:
    """The curves of one training, and what the weights of its best epoch do on the test images."""
    trainer = Trainer(contender.build, contender.config, images.data, seed=seed, precision=PRECISION)
    constraints = Constraints(images.baseline_loss, contender.max_gap)
    history: History = {}
    weights = trainer.weights()
    began = time.process_time()
    for number in range(epochs):
        epoch = trainer.epoch()
        for name, value in measure(epoch.train, epoch.val).as_dict().items():
            history.setdefault(name, []).append(float(f"{value:.5g}"))
        if best_epoch(history["val_loss"], history["gap"], constraints) == number:
            weights = trainer.weights()
    seconds = (time.process_time() - began) / epochs
    trainer.averaged.load_state_dict(weights)
    test = evaluate(trainer.averaged, images.test, images.test.val, PRECISION)
    return {
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "history": history,
        "best_epoch": best_epoch(history["val_loss"], history["gap"], constraints),  # from 0
        "test_loss": float(test.losses.mean()),
        "test_accuracy": float(test.correct.mean()),
        "seconds": seconds,  # of the processor, for an epoch
    }


def load_images(options: argparse.Namespace) -> Images:
    """The images that the flags name. Raises UserError where they are not there, or too few."""
    data, test = load(options)
    device = torch.device("cpu")
    on_device = data.to(device)
    return Images(on_device, test.to(device), data.fingerprint, fit_baseline(on_device).val_loss)


def is_of(run: Run, contender: Contender) -> bool:
    """Whether a recorded training is of this network; two searches may each have a trial 5 of the same name."""
    recorded = run["network"], run["config"], run.get("max_gap")  # an earlier release recorded no ceiling
    return recorded == (contender.name, contender.config, contender.max_gap)


def missing(wanted: Sequence[Contender], seeds: int, runs: Sequence[Run]) -> Iterator[tuple[Contender, int]]:
    """The trainings to come: each network once before any of them twice."""
    for seed in range(seeds):
        for one in wanted:
            if not any(run["seed"] == seed and is_of(run, one) for run in runs):
                yield one, seed


def read_runs(path: Path, conditions: Mapping[str, Any]) -> list[Run]:
    """The trainings that were recorded under these conditions; those without a best epoch are of an earlier release.

    Raises UserError where the file holds anything else.
    """
    lines = path.read_text().splitlines() if path.exists() else []
    runs = [_read_run(path, line) for line in lines]
    return [run for run in runs if run.get("conditions") == conditions and "best_epoch" in run]


def _read_run(path: Path, line: str) -> Run:
    """What a line records: nothing where a kill has cut it short."""
    if not line.startswith("{"):
        raise UserError(f"{path} is no table of trainings: it has a line {line[:40]!r}; name another file with --out")
    try:
        run: Run = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return run


def append(path: Path, run: Run) -> None:
    """Record a training, on a line of its own though the last one was cut short."""
    before = path.read_text() if path.exists() else ""
    with path.open("a") as table:
        table.write("\n" * (before[-1:] not in ("", "\n")) + json.dumps(run) + "\n")


HEADINGS = (
    *("network", "the text says", "its accuracy", "parameters", "val loss", "gap", "accuracy: train", "validation"),
    *("test", "fit", "best epoch", "last epoch: train, validation", "seconds per epoch"),
)


def row(name: str, runs: Sequence[Run], baseline_loss: float) -> str:
    """A line of the table: means over the seeds, with standard deviations where there are several.

    Seeds with which the training diverged are told, and in no figure.
    """
    told = TOLD.get(name, Told("-"))
    sound = [run for run in runs if run["best_epoch"] is not None]
    diverged = len(runs) - len(sound)
    cells = (
        f"{name} ({diverged} of {len(runs)} diverged)" if diverged else name,
        told.says,
        "-" if told.train is None else f"{told.train}, {told.validation}",
        f"{runs[0]['parameters']:,}",
    )
    figures = _figures(sound, baseline_loss) if sound else ["-"] * (len(HEADINGS) - len(cells))
    return f"| {' | '.join([*cells, *figures])} |"


def _figures(runs: Sequence[Run], baseline_loss: float) -> Sequence[str]:
    best = [run["best_epoch"] for run in runs]
    at_best = [Measurement.at(run["history"], epoch) for run, epoch in zip(runs, best, strict=True)]
    last = [Measurement.at(run["history"], -1) for run in runs]
    regimes = Counter(fit_regime(one, baseline_loss).value for one in at_best)
    return (
        _spread([one.val_loss for one in at_best], "{:.3f}"),
        _spread([one.gap for one in at_best], "{:.3f}"),
        _percent([one.train_accuracy for one in at_best]),
        _percent([one.val_accuracy for one in at_best]),
        _percent([run["test_accuracy"] for run in runs]),
        ", ".join(f"{fit} ({count})" if len(regimes) > 1 else fit for fit, count in regimes.most_common()),
        f"{np.mean(best) + 1:.0f} of {len(runs[0]['history']['val_loss'])}",
        f"{_percent([one.train_accuracy for one in last])}, {_percent([one.val_accuracy for one in last])}",
        f"{np.mean([run['seconds'] for run in runs]):.1f}",
    )


def _spread(values: Sequence[float], style: str) -> str:
    mean = style.format(np.mean(values))
    return mean if len(values) == 1 else f"{mean} ± {style.format(np.std(values, ddof=1))}"


def _percent(shares: Sequence[float]) -> str:
    return _spread([100 * share for share in shares], "{:.1f}")


def report(runs: Sequence[Run], wanted: Sequence[Contender], baseline_loss: float) -> None:
    """Print the table of the networks that have been trained."""
    print(
        f"softmax regression: val loss {baseline_loss:.3f}\n\n| {' | '.join(HEADINGS)} |\n|{' --- |' * len(HEADINGS)}"
    )
    for one in wanted:
        mine = [run for run in runs if is_of(run, one)]
        if mine:
            print(row(one.name, mine, baseline_loss))


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=tuple(datasets.SOURCES), default="FashionMNIST")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--val-size", type=int)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", choices=tuple(reference.NETWORKS), metavar="NAME")
    parser.add_argument("--beside", type=Path, metavar="BEST.YAML")
    parser.add_argument("--out", type=Path, default=Path("reference.jsonl"), help="is gone on with where it exists")
    return parser.parse_args()


def main() -> int:
    """Train what OUT lacks, then print the table. Returns 2 for input that cannot work."""
    options = parse()
    try:
        images = load_images(options)
        wanted = contenders(options, images)
        conditions = {
            "data": images.fingerprint,
            "train_size": len(images.data.train),
            "val_size": len(images.data.val),
            "epochs": options.epochs,
        }
        runs = read_runs(options.out, conditions)
    except UserError as error:
        print(f"reference: {error}", file=sys.stderr)
        return 2
    for contender, seed in missing(wanted, options.seeds, runs):
        one = {"network": contender.name, "config": contender.config, "max_gap": contender.max_gap, "seed": seed}
        runs.append(one | {"conditions": conditions} | train(contender, seed, images, options.epochs))
        append(options.out, runs[-1])
        print(f"{contender.name}, seed {seed}", file=sys.stderr, flush=True)
    report(runs, wanted, images.baseline_loss)
    return 0


if __name__ == "__main__":
    sys.exit(main())
