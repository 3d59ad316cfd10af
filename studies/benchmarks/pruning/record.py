"""Record learning curves of random configurations, trained without any stopping, as a curve table.

    python studies/benchmarks/pruning/record.py --data FashionMNIST --data-root ../shared/data --runs 200 OUT.jsonl
    python studies/benchmarks/pruning/record.py --data folder --data-root MY_IMAGES --range dropout 0 0.1 OUT.jsonl

Each line is a run: {"config", "seed", "parameters", "history"}, with one value per epoch in each curve. OUT.npz holds
the per-image losses at each run's best epoch (float16): `SEED` those of the validation images, `SEED.test` those of the
test images. An interrupted recording continues where it was.

`test_loss` comes from up to 2,000 images of the data set's own test split. No search reads it: it is what the selected
run of a replayed search is judged by.

With `--again TABLE --top 20 --random 10 --times 2` the 20 runs with the lowest validation loss in that table, and 10 of
the others, are trained twice more, with other seeds. "repeats" is then the seed of the run that a line repeats. Each is
trained once before any is trained twice, so that a recording that ends early has the same seeds of all.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import optuna
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from search.data import datasets
from search.data.splits import split
from search.data.tensors import DeviceData, SearchData, held_out, prepare
from search.measurement import PerImage, measure, paired_z
from search.spaces import suggester
from search.training.cuda_graph import Input
from search.training.evaluate import evaluate
from search.training.precision import Precision
from search.training.trainer import Trainer
from spaces import cnn
from studies.benchmarks.curve_tables import read_records

TEST_IMAGES = 2000
AGAIN = 1_000_000  # added to the seeds of repeated runs
PRECISION = Precision(bf16=True, channels_last=True)


@dataclass(frozen=True)
class Plan:
    """One run to record. repeats: the seed of the run whose configuration is trained again."""

    config: dict[str, Any]
    seed: int
    repeats: int | None = None


class OneCycleTrainer(Trainer):
    """One-cycle training: the learning rate rises for 30% of the steps, then falls to 0. Weights are not averaged."""

    total_epochs: int

    def schedule(self, step: int) -> float:
        """The share of the peak learning rate at a step."""
        peak, last = 0.3 * self.total_epochs * self.steps, self.total_epochs * self.steps
        if step < peak:
            return 0.04 + 0.96 * (1 - np.cos(np.pi * step / peak)) / 2
        return (1 + np.cos(np.pi * (step - peak) / (last - peak))) / 2

    def _average(self, weight: Input) -> None:
        with torch.no_grad():
            self.averaged.load_state_dict(self.model.state_dict())


def record(one: Plan, epochs: int, schedule: str) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Train one run. Returns its line of the table; its validation and its test losses per image at the best epoch."""
    data, test = _data()
    kind = OneCycleTrainer if schedule == "one-cycle" else Trainer
    trainer = kind(cnn.build, one.config, data, seed=one.seed, precision=PRECISION)
    if isinstance(trainer, OneCycleTrainer):
        trainer.total_epochs = epochs
    history: dict[str, list[float]] = {}
    best: PerImage | None = None
    test_at_best: PerImage | None = None
    for _ in range(epochs):
        epoch = trainer.epoch()
        on_test = evaluate(trainer.averaged, test, test.val, PRECISION)
        values = measure(epoch.train, epoch.val).as_dict()
        values["val_rise_z"] = 0.0 if best is None else paired_z(epoch.val.losses, best.losses)
        values |= {"test_loss": float(on_test.losses.mean()), "test_accuracy": float(on_test.correct.mean())}
        for name, value in values.items():
            history.setdefault(name, []).append(float(f"{value:.5g}"))
        if best is None or epoch.val.losses.mean() < best.losses.mean():
            best, test_at_best = epoch.val, on_test
    assert best is not None
    assert test_at_best is not None
    parameters = sum(p.numel() for p in trainer.model.parameters())
    line = {"config": one.config, "seed": one.seed, "parameters": parameters, "history": history}
    line = line if one.repeats is None else line | {"repeats": one.repeats}
    return line, best.losses, test_at_best.losses


_worker_data: tuple[DeviceData, DeviceData]


def _initialize(data: SearchData, test: SearchData) -> None:
    global _worker_data
    torch.set_num_threads(1)
    _worker_data = data.to(torch.device("cpu")), test.to(torch.device("cpu"))


def _data() -> tuple[DeviceData, DeviceData]:
    return _worker_data


def random_configs(count: int, seed: int, ranges: Mapping[str, tuple[float, float]]) -> list[dict[str, Any]]:
    """Configurations drawn at random from the `cnn` space with some of its ranges changed."""
    suggest = suggester("spaces.cnn", ranges)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [suggest(study.ask()) for _ in range(count)]


def plan(options: argparse.Namespace) -> list[Plan]:
    """The runs to record: random configurations, or the best ones and some others of a table again."""
    first = 1000 * options.seed
    if options.again is None:
        ranges = {name: (float(low), float(high)) for name, low, high in options.range}
        return [Plan(config, first + i) for i, config in enumerate(random_configs(options.runs, options.seed, ranges))]
    runs = repeated(read_records(options.again), options.top, options.random, options.seed)
    return [
        Plan(run["config"], AGAIN + first + options.times * i + k, run["seed"])
        for k in range(options.times)
        for i, run in enumerate(runs)
    ]


def repeated(runs: Sequence[dict[str, Any]], top: int, others: int, seed: int) -> list[dict[str, Any]]:
    """The `top` runs with the lowest validation loss, then `others` of the rest, drawn at random."""
    ranked = sorted(runs, key=lambda run: min(run["history"]["val_loss"]))
    rest = ranked[top:]
    drawn = np.random.default_rng(seed).permutation(len(rest))[:others]
    return ranked[:top] + [rest[i] for i in drawn]


def load(options: argparse.Namespace, test_images: int = TEST_IMAGES) -> tuple[SearchData, SearchData]:
    """The images to train and validate on, and up to `test_images` stratified test images, normalized alike."""
    sources = [datasets.load(options.data, part, options.data_root) for part in ("train", "test")]
    flip = datasets.SOURCES[options.data].flip
    data = prepare(sources[0], train_size=options.train_size, val_size=options.val_size, seed=0, flip=flip)
    test = held_out(sources[1], data)
    if len(test.labels) > test_images:
        some = split(test.labels, test_images, 2 * len(data.classes), seed=0).train
        test = replace(test, splits=replace(test.splits, val=some))
    return data, test


def _resume(table: Path, losses: dict[str, np.ndarray]) -> set[int]:
    """The seeds of the complete runs. Lines whose per-image losses had not been written yet are dropped."""
    lines = table.read_text().splitlines() if table.exists() else []
    runs = {json.loads(line)["seed"]: line for line in lines}
    kept = {seed: line for seed, line in runs.items() if str(seed) in losses}
    table.write_text("".join(line + "\n" for line in kept.values()))
    return set(kept)


def main() -> None:
    """Record the runs that OUT lacks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT.jsonl")
    parser.add_argument("--data", default="FashionMNIST")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--schedule", choices=("anytime", "one-cycle"), default="anytime")
    parser.add_argument("--train-size", type=int, default=2000)
    parser.add_argument("--val-size", type=int, default=2000)
    parser.add_argument("--range", nargs=3, action="append", default=[], metavar=("NAME", "LOW", "HIGH"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", type=Path, metavar="TABLE.jsonl.gz")
    parser.add_argument("--top", type=int, default=20)
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--workers", type=int, default=joblib.cpu_count())
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    losses_file = options.out.with_suffix(".npz")
    losses = dict(np.load(losses_file)) if losses_file.exists() else {}
    done = _resume(options.out, losses)
    planned = plan(options)
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(options.workers, context, _initialize, load(options)) as pool:
        jobs = [pool.submit(record, one, options.epochs, options.schedule) for one in planned if one.seed not in done]
        began = time.monotonic()
        for number, job in enumerate(as_completed(jobs), start=1):
            line, val, test = job.result()
            losses[str(line["seed"])] = val.astype(np.float16)
            losses[f"{line['seed']}.test"] = test.astype(np.float16)
            with options.out.open("a") as table:
                table.write(json.dumps(line) + "\n")
            np.savez_compressed(losses_file, **losses)
            if number % 10 == 0 or number == len(jobs):
                left = (time.monotonic() - began) / number * (len(jobs) - number)
                print(f"{len(done) + number} of {len(planned)} runs, {left / 60:.0f} min left", flush=True)


if __name__ == "__main__":
    main()
