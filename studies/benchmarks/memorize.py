"""Do three small CNNs memorize 20 random images?

    python studies/benchmarks/memorize.py [--seeds 10]

The texts that the project started from train three small CNNs on 20 random 64x64x3 images in two classes, as a check of
whether a network can overfit at all, and say that none reaches 100%. They do not print the networks in full, so these
are a reading of them: one, two and three convolutions with 3x3 kernels, ReLU and 2x2 pooling, then a dense layer. They
are trained as `gapsearch check` does: AdamW at 1e-3, all images in each step, no regularization, at most 300 steps.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch import nn

from search.data.tensors import DeviceData
from search.training.memorize import IMAGES, Memorized, memorize

SIDE, CLASSES = 64, 2
NETWORKS = {"32 filters": (32,), "16 and 32 filters": (16, 32), "16, 32 and 64 filters": (16, 32, 64)}


def build(config: Mapping[str, Any], *, channels: int, image_size: tuple[int, int], classes: int) -> nn.Sequential:
    """Convolutions with `config["filters"]`, each halving the image, and a dense layer."""
    layers: list[nn.Module] = []
    for filters in config["filters"]:
        layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = filters
    pixels = (image_size[0] >> len(config["filters"])) * (image_size[1] >> len(config["filters"]))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * pixels, classes))


def random_images(seed: int) -> DeviceData:
    """Noise, half of it in each class."""
    generator = torch.Generator().manual_seed(seed)
    indices = torch.arange(IMAGES)
    return DeviceData(
        images=torch.randint(256, (IMAGES, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8),
        labels=(torch.randperm(IMAGES, generator=generator) % CLASSES),
        train=indices,
        val=indices,
        probe=indices,
        mean=torch.full((1, 3, 1, 1), 0.5),
        std=torch.full((1, 3, 1, 1), 0.29),  # of what is drawn evenly from 0 to 1
        classes=CLASSES,
        flip=False,
    )


def row(name: str, found: Sequence[Memorized]) -> str:
    """Of the table: one network with several seeds."""
    steps = [one.steps for one in found]
    reached = sum(one.all_right for one in found)
    lowest = min(one.accuracy for one in found)
    return (
        f"| {name} | {reached} of {len(found)} | {statistics.median(steps):g} ({min(steps)} to {max(steps)}) | "
        f"{lowest:.0%} |"
    )


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="of images and weights (default: 10)")
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    print("| network | reach 100% | steps, median (range) | lowest accuracy |\n| --- | ---: | ---: | ---: |")
    for name, filters in NETWORKS.items():
        config = {"filters": filters, "learning_rate": 1e-3}
        print(row(name, [memorize(build, config, random_images(seed), seed) for seed in range(seeds)]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
