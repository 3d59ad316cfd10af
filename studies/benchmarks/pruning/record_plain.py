"""Record learning curves of plain PyTorch loops, as other people write them, as a curve table.

    python studies/benchmarks/pruning/record_plain.py --data-root ../shared/data OUT.jsonl

No run uses the trainer of this project: weights are not averaged, the optimizer is SGD with momentum or Adam, and the
learning rate is constant, drops to a tenth after half and after three quarters of the epochs, or falls to 0 by a
cosine. Equally many runs have each of the six combinations; the other hyperparameters are drawn at random, with little
regularization, so that many runs overfit. Images are averaged down to half their side, to save time.

A line is a run, as record.py writes it. Its history also has `learning_rate`, the rate of each epoch, and
`running_loss`, the mean loss of the training batches of the epoch. An interrupted recording continues where it was.
"""

import argparse
import json
import math
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from search.data.tensors import DeviceData, SearchData
from search.measurement import History, PerImage, measure, paired_z
from spaces import cnn
from studies.benchmarks.pruning.record import load

COMBINATIONS = tuple(product(("sgd", "adam"), ("constant", "step", "cosine")))
SHIFT = 2  # pixels at most, in the runs that augment

_worker_data: tuple[DeviceData, DeviceData]


def configuration(number: int, seed: int) -> dict[str, Any]:
    """The hyperparameters of run `number`: the combination by turns, the others at random."""
    rng = np.random.default_rng([seed, number])
    optimizer, schedule = COMBINATIONS[number % len(COMBINATIONS)]
    low, high = (0.005, 0.1) if optimizer == "sgd" else (0.0005, 0.01)
    return {
        "optimizer": optimizer,
        "schedule": schedule,
        "learning_rate": float(np.exp(rng.uniform(np.log(low), np.log(high)))),
        "weight_decay": float(rng.choice([0.0, 1e-4, 1e-3])),
        "batch_size": int(rng.choice([32, 64, 128])),
        "augment": bool(rng.random() < 0.25),
        "depth": int(rng.integers(2, 5)),
        "width": int(rng.integers(8, 25)),
        "kernel_size": 3,
        "dropout": float(rng.choice([0.0, 0.0, 0.1, 0.3])),
    }


def rate(schedule: str, epoch: int, epochs: int) -> float:
    """The learning rate of an epoch (from 0), as a share of the first one."""
    if schedule == "step":
        return 0.1 ** ((2 * epoch >= epochs) + (4 * epoch >= 3 * epochs))
    return (1 + math.cos(math.pi * epoch / epochs)) / 2 if schedule == "cosine" else 1.0


def record(config: dict[str, Any], seed: int, epochs: int) -> dict[str, Any]:
    """Train one run. Returns its line of the table."""
    data, test = _worker_data
    torch.manual_seed(seed)
    channels, height, width = data.images.shape[1:]
    model = cnn.build(config, channels=channels, image_size=(height, width), classes=data.classes)
    model = model.to(memory_format=torch.channels_last)
    optimizer = _optimizer(model, config)
    history: History = {}
    best: PerImage | None = None
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = config["learning_rate"] * rate(config["schedule"], epoch, epochs)
        running = _train(model, optimizer, data, config)
        probe, val, on_test = (
            evaluate(model, *part) for part in ((data, data.probe), (data, data.val), (test, test.val))
        )
        values = measure(probe, val).as_dict()
        values["val_rise_z"] = 0.0 if best is None else paired_z(val.losses, best.losses)
        values |= {"test_loss": float(on_test.losses.mean()), "test_accuracy": float(on_test.correct.mean())}
        values |= {"running_loss": running, "learning_rate": optimizer.param_groups[0]["lr"]}
        for name, value in values.items():
            history.setdefault(name, []).append(float(f"{value:.5g}"))
        if best is None or val.losses.mean() < best.losses.mean():
            best = val
    parameters = sum(p.numel() for p in model.parameters())
    return {"config": config, "seed": seed, "parameters": parameters, "history": history}


def _optimizer(model: nn.Module, config: dict[str, Any]) -> torch.optim.Optimizer:
    if config["optimizer"] == "adam":
        return torch.optim.Adam(model.parameters(), config["learning_rate"], weight_decay=config["weight_decay"])
    return torch.optim.SGD(
        model.parameters(), config["learning_rate"], momentum=0.9, weight_decay=config["weight_decay"]
    )


def _train(model: nn.Module, optimizer: torch.optim.Optimizer, data: DeviceData, config: dict[str, Any]) -> float:
    """One epoch. Returns its running loss."""
    model.train()
    total = 0.0
    for batch in data.train[torch.randperm(len(data.train))].split(config["batch_size"]):
        images = data.normalize(data.pixels(batch))
        loss = nn.functional.cross_entropy(
            model(augmented(images) if config["augment"] else images), data.labels[batch]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(data.train)


def augmented(images: torch.Tensor) -> torch.Tensor:
    """Half of the images (n, c, h, w) mirrored, and each one shifted by up to `SHIFT` pixels."""
    count, _, height, width = images.shape
    images = torch.where(torch.rand(count, 1, 1, 1) < 0.5, images.flip(3), images)
    padded = nn.functional.pad(images, [SHIFT] * 4)
    down, right = (torch.randint(2 * SHIFT + 1, (count, 1)) + torch.arange(size) for size in (height, width))
    return padded[torch.arange(count)[:, None, None], :, down[:, :, None], right[:, None, :]].permute(0, 3, 1, 2)


@torch.inference_mode()
def evaluate(model: nn.Module, data: DeviceData, indices: torch.Tensor) -> PerImage:
    """Losses and hits of those images in eval mode."""
    model.eval()
    logits = torch.cat([model(data.normalize(data.pixels(some))) for some in indices.split(500)])
    labels = data.labels[indices]
    losses = nn.functional.cross_entropy(logits, labels, reduction="none")
    predicted = logits.argmax(1)
    return PerImage(losses.numpy(), (predicted == labels).numpy(), predicted.numpy())


def _initialize(data: SearchData, test: SearchData) -> None:
    global _worker_data
    torch.set_num_threads(1)
    _worker_data = _halved(data), _halved(test)


def _halved(data: SearchData) -> DeviceData:
    """Tensors for training, with images of half the side."""
    given = data.to(torch.device("cpu"))
    pooled = [nn.functional.avg_pool2d(some.float(), 2).round().to(torch.uint8) for some in given.images.split(1000)]
    return replace(given, images=torch.cat(pooled).contiguous(memory_format=torch.channels_last))


def main() -> None:
    """Record the runs that OUT lacks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT.jsonl")
    parser.add_argument("--data", default="FashionMNIST")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--runs", type=int, default=42)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--train-size", type=int, default=1000)
    parser.add_argument("--val-size", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=joblib.cpu_count())
    options = parser.parse_args()

    lines = options.out.read_text().splitlines() if options.out.exists() else []
    done = {json.loads(line)["seed"] for line in lines}
    planned = {1000 * options.seed + number: configuration(number, options.seed) for number in range(options.runs)}
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(options.workers, context, _initialize, load(options)) as pool:
        jobs = [
            pool.submit(record, config, seed, options.epochs) for seed, config in planned.items() if seed not in done
        ]
        for number, job in enumerate(as_completed(jobs), start=1):
            with options.out.open("a") as table:
                table.write(json.dumps(job.result()) + "\n")
            print(f"{len(done) + number} of {len(planned)} runs", flush=True)


if __name__ == "__main__":
    main()
