"""What does a trial of the classifier alone cost, with and without the features that are kept?

    python studies/benchmarks/features.py --data-root DIR [--backbone resnet18] [--train-size 400] [--epochs 4]

A pretrained network whose stages are not trained, on Fashion-MNIST, a quarter of the images to validate on beside those
to train on, one thread, float32. Its weights are random ones: that changes nothing of the time. The image cache is a
new one. Seconds are those of the processor, which other programs disturb less than the clock's.
"""

import argparse
import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from search.data import datasets
from search.data.tensors import DeviceData, prepare
from search.training import trainer
from search.training.precision import Precision
from spaces import pretrained


def seconds(backbone: str, data: DeviceData, epochs: int) -> float:
    """Of one trial."""
    config = {"backbone": backbone, "weights": "none", "stages": 0, "dropout": 0.1, "batch_size": 64}
    started = time.process_time()
    training = trainer.Trainer(pretrained.build, config, data, seed=0, precision=Precision())
    for _ in range(epochs):
        training.epoch()
    return time.process_time() - started


def plainly(run: Callable[[], float]) -> float:
    """`run` where no network's body counts as frozen."""
    kept, trainer.frozen_body = trainer.frozen_body, lambda model: None
    try:
        return run()
    finally:
        trainer.frozen_body = kept


def main() -> None:
    """Print a line for each kind of trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--data", default="FashionMNIST")
    parser.add_argument("--backbone", default="resnet18", choices=tuple(pretrained.NAMES))
    parser.add_argument("--train-size", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        source = datasets.load(args.data, "train", args.data_root)
        split = prepare(source, train_size=args.train_size, val_size=args.train_size // 4, seed=0, flip=False)
        data = split.to(torch.device("cpu"))
        run = functools.partial(seconds, args.backbone, data, args.epochs)
        print(f"first trial, computes features: {run():7.1f} s", flush=True)
        print(f"later trial, finds them:        {run():7.1f} s", flush=True)
        print(f"without features:               {plainly(run):7.1f} s", flush=True)


if __name__ == "__main__":
    main()
