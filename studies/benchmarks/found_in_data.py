"""What is found in data: copies that were planted, and labels that were changed.

    python studies/benchmarks/found_in_data.py copies DIR [--planted 50]
    python studies/benchmarks/found_in_data.py labels [--data-root data] [--networks 3] [--epochs 12]

`copies`: DIR holds `train/<class>/*` and `test/<class>/*`. Of that many test images a copy is saved anew among the
training images: 24 to 96 pixels wide, as JPEG of quality 50 to 90, WebP or PNG. Told are the copies found, the other
pairs (to be looked at: data sets do hold some), and the seconds.

`labels`: of 4,000 Fashion-MNIST images 5% get another label, drawn at random. As `gapsearch labels` does it, networks
of one small configuration judge the half that they were not trained on.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from PIL import Image

from search.data import copies, datasets
from search.data.splits import Splits
from search.data.tensors import prepare
from search.training.precision import Precision
from search.training.trainer import Trainer
from search.use.labels import halved, suspects
from spaces import cnn

SIDES = (24, 32, 48, 64, 96)
FORMATS = (("jpg", 50), ("jpg", 75), ("jpg", 90), ("webp", 60), ("png", None))
IMAGES, CHANGED = 4_000, 200
CONFIG = {"depth": 3, "width": 16, "kernel_size": 3, "dropout": 0.2, "weight_decay": 0.05, "batch_size": 64,
          "augmentation": 0.3, "learning_rate": 3e-3}  # fmt: skip


def find_planted(source: Path, count: int) -> None:
    """Plant copies of test images, look for copies among all images, and tell."""
    paths = sorted(str(path) for part in ("train", "test") for path in (source / part).glob("*/*"))
    tests = [number for number, path in enumerate(paths) if Path(path).parts[-3] == "test"]
    originals = np.random.default_rng(0).choice(tests, count, replace=False).tolist()
    with tempfile.TemporaryDirectory() as folder:
        planted = list[str]()
        for number, original in enumerate(originals):
            side, (suffix, quality) = SIDES[number % 5], FORMATS[number // 5 % 5]
            planted.append(f"{folder}/{number}.{suffix}")
            image = Image.open(paths[original]).convert("RGB").resize((side, side))
            options: dict[str, Any] = {} if quality is None else {"quality": quality}
            image.save(planted[-1], **options)
        started, busy = time.perf_counter(), time.process_time()
        found = copies.saved_anew([*paths, *planted])
        seconds, own = time.perf_counter() - started, time.process_time() - busy
    wanted = {frozenset((original, len(paths) + number)) for number, original in enumerate(originals)}
    pairs = {frozenset((one, other)) for group in found for one in group for other in group if one < other}
    print(f"{len(paths):,} images: {len(wanted & pairs)} of {count} planted copies found in {seconds:.1f} s", end=" ")
    print(f"({own:.1f} s of this process's own)")
    for pair in sorted(map(sorted, pairs - wanted)):
        print("also:", *([*paths, *planted][number] for number in pair))


def find_changed(data_root: Path, networks: int, epochs: int) -> None:
    """Change labels, judge all images, and tell how many of the most suspicious ones are changed."""
    torch.set_num_threads(1)
    source = datasets.load("FashionMNIST", "train", data_root)
    data = prepare(source, train_size=IMAGES, val_size=1_000, seed=0, flip=True)
    images, labels, random = data.splits.train, data.labels.copy(), np.random.default_rng(0)
    changed = random.choice(images, CHANGED, replace=False)
    labels[changed] = (labels[changed] + random.integers(1, 10, CHANGED)) % 10
    data = replace(data, labels=labels)
    losses, predicted = np.empty((networks, len(labels))), np.empty((networks, len(labels)), np.int64)
    halves = halved(images, labels[images], seed=0)
    for number in range(networks):
        for trained_on, judged in (halves, halves[::-1]):
            half = replace(data, splits=Splits(trained_on, judged, trained_on[::20])).to(torch.device("cpu"))
            trainer = Trainer(cnn.build, CONFIG, half, seed=number, precision=Precision())
            for _ in range(epochs):
                epoch = trainer.epoch()
            losses[number, judged], predicted[number, judged] = epoch.val.losses, epoch.val.predicted
        found = suspects("", data, images, losses[: number + 1, images], predicted[: number + 1, images])
        hits = int(np.isin(found.images[:CHANGED], changed).sum())
        of = len(found.images[:CHANGED])
        print(f"{number + 1} networks: of the {of} most suspicious images {hits} are changed", flush=True)


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["copies", "labels"])
    parser.add_argument("folder", metavar="DIR", nargs="?", type=Path, help="of `copies`")
    parser.add_argument("--planted", type=int, default=50, metavar="N")
    parser.add_argument("--data-root", type=Path, default=Path("data"), metavar="DIR")
    parser.add_argument("--networks", type=int, default=3, metavar="N")
    parser.add_argument("--epochs", type=int, default=12, metavar="E")
    flags = parser.parse_args()
    if flags.what == "labels":
        find_changed(flags.data_root, flags.networks, flags.epochs)
    elif flags.folder is None:
        parser.error("name the folder of images")
    else:
        find_planted(flags.folder, flags.planted)


if __name__ == "__main__":
    main()
