"""Does `--balance` raise the balanced accuracy where classes are of uneven size?

    python studies/benchmarks/imbalance.py DIR [--seeds 5] [--epochs 20]

DIR holds `train/<class>/*` and `test/<class>/*`, as a folder that is searched does. Of its training images the classes
keep 1,000 to 20, in equal ratios, in the order of their names; a fifth of them validates. The test split stays as it
is. One small network is trained with the same seeds with and without weights, each on a split of its own, and measured
on the test split at the epoch of its lowest validation loss, as a search would take it home.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch

from search.balance import counted_alike
from search.data import FOLDER, datasets
from search.data.tensors import SearchData, held_out, prepare
from search.measurement import standard_error
from search.training.evaluate import evaluate
from search.training.precision import Precision
from search.training.trainer import Trainer
from spaces import cnn

LARGEST, SMALLEST = 1_000, 20  # classes, in images
CONFIG = {"depth": 3, "width": 16, "kernel_size": 3, "dropout": 0.1, "weight_decay": 0.01, "batch_size": 64,
          "augmentation": 0.2, "learning_rate": 3e-3}  # fmt: skip
PRECISION = Precision(bf16=True, channels_last=True)
FIGURES = ("balanced accuracy", "accuracy of the smallest class", "accuracy of the largest class", "epoch")


def thin_out(source: Path, target: Path) -> None:
    """Links to the images of `source`, of the classes in `train` to fewer and fewer."""
    classes = sorted(path.name for path in (source / "train").iterdir())
    sizes = np.geomspace(LARGEST, SMALLEST, len(classes)).round().astype(int)
    for name, size in zip(classes, sizes, strict=True):
        for part, most in (("train", size), ("test", None)):
            place = target / part / name
            place.mkdir(parents=True)
            for image in sorted((source / part / name).iterdir())[:most]:
                (place / image.name).symlink_to(image.resolve())


def train(data: SearchData, test: SearchData, seed: int, epochs: int) -> list[float]:
    """The `FIGURES` on the test split, at the epoch of lowest validation loss."""
    cpu = torch.device("cpu")
    trainer = Trainer(cnn.build, CONFIG, data.to(cpu), seed=seed, precision=PRECISION)
    losses, weights, best = list[float](), trainer.weights(), 0
    for epoch in range(epochs):
        losses.append(float(trainer.epoch().val.losses.mean(dtype=np.float64)))
        if losses[-1] == min(losses):
            weights, best = trainer.weights(), epoch + 1
    trainer.averaged.load_state_dict(weights)
    images = test.to(cpu)
    correct = evaluate(trainer.averaged, images, images.val, PRECISION).correct
    ends = [float(correct[test.labels == label].mean()) for label in (len(test.classes) - 1, 0)]
    return [float(counted_alike(correct, test.labels).mean()), *ends, float(best)]


def table(plain: np.ndarray, balanced: np.ndarray) -> list[str]:
    """Means over seeds with standard errors, in Markdown. plain, balanced: shape (seeds, figures)."""
    lines = ["| test split | plain | --balance | difference |", "| --- | ---: | ---: | ---: |"]
    for at, name in enumerate(FIGURES):
        scale, digits = (1, 1) if name == "epoch" else (100, 1)
        cells = [plain[:, at], balanced[:, at], balanced[:, at] - plain[:, at]]
        shown = [
            f"{scale * one.mean():{sign}.{digits}f} ± {scale * standard_error(one):.{digits}f}"
            for one, sign in zip(cells, ("", "", "+"), strict=True)
        ]
        lines.append(f"| {name}{'' if name == 'epoch' else ', %'} | {' | '.join(shown)} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--epochs", type=int, default=20, metavar="E", help="of each training (default: 20)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found: dict[bool, list[list[float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as scratch:
        thin_out(options.folder, Path(scratch))
        source, tested = (datasets.load(FOLDER, part, Path(scratch)) for part in ("train", "test"))
        for seed in range(options.seeds):
            for balance, figures in found.items():
                data = prepare(source, train_size=None, val_size=None, seed=seed, flip=True, balance=balance)
                figures.append(train(data, held_out(tested, data), seed, options.epochs))
                print(f"seed {seed}, {'--balance' if balance else 'plain'}: {figures[-1]}", file=sys.stderr, flush=True)
    print("\n".join(table(np.array(found[False]), np.array(found[True]))))


if __name__ == "__main__":
    main()
