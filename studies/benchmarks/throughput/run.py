"""Trial-epochs per minute of this search, of other tools as their documentation shows them, and of a bare PyTorch loop.

    pip install -e '.[bench]'
    python studies/benchmarks/throughput/run.py --data-root ../shared/data

Every contender is a script in peers/, started with the same flags: the same network, images, batch size, number of
trials and epochs, and after each epoch the loss of the train probe and of the validation split, in eval mode. The
trials differ in learning rate, weight decay and dropout. None of these changes the amount of work. Contenders take
turns within a repetition. Ratios are taken within each repetition; the tables show their median over repetitions.

The time of the search proper counts: from the end of the main process's imports to the end of the search. It includes
worker processes with their imports, reading the images, and for this search the linear baseline, the bookkeeping and
the export. Only epochs that were really trained count; what a rule stops early adds nothing. CPU seconds are those of
all processes of a contender from the same moment on. They are read five times a second, so the last moment of a process
may be missed.

There are two rounds. In the first one all contenders train few epochs; the seconds of start-up weigh more there than in
a search of minutes. In the second, longer one this search is compared with the hand-written script and with the bare
loop alone.

All contenders are bound to the first `--cores` cores that this process may use (Linux). Every run becomes a line of
throughput.csv beside this file. The tables are printed in Markdown at the end.
"""

import argparse
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from studies.benchmarks.throughput.contenders import CONTENDERS, ROUNDS, Contender, Round, available
from studies.benchmarks.throughput.measuring import Run, measure
from studies.benchmarks.throughput.peers.task import NETWORKS, Task
from studies.benchmarks.throughput.results import tables, write

TABLE = Path(__file__).with_name("throughput.csv")
PACKAGES = ("torch", "torchvision", "optuna", "lightning", "ray", "keras", "keras-tuner", "numpy")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [contender.name for contender in CONTENDERS]
    rounds = [chosen.name for chosen in ROUNDS]
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--train-size", type=int, default=2048)
    parser.add_argument("--val-size", type=int, default=512)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--contenders", nargs="+", choices=names, default=names)
    parser.add_argument("--rounds", nargs="+", choices=rounds, default=rounds)
    parser.add_argument("--plain", action="store_true", help="leave out the tasks with augmentation")
    parser.add_argument("--table", type=Path, default=TABLE, help="CSV to write (%(default)s)")
    return parser.parse_args(arguments)


def tasks(rounds: Sequence[Round], options: argparse.Namespace) -> Iterator[tuple[Round, Task]]:
    """Every task of every round, without its folder."""
    for chosen in rounds:
        for network in options.networks:
            for augmentation in chosen.augmentations:
                if not (augmentation and options.plain):
                    yield chosen, _task(chosen, network, augmentation, options)


def _task(chosen: Round, network: str, augmentation: bool, options: argparse.Namespace) -> Task:
    return Task(
        network=network,
        augmentation=augmentation,
        trials=chosen.trials[network],
        epochs=chosen.epochs,
        train_size=options.train_size,
        val_size=options.val_size,
        cores=options.cores,
        seed=0,
        data_root=options.data_root.resolve(),
        folder=Path(),
    )


def machine() -> str:
    """Versions and load, for the heading of the tables."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return f"{', '.join(versions)}; Python {platform.python_version()}; load before {os.getloadavg()[0]:.1f}"


def turns(options: argparse.Namespace) -> Iterator[tuple[Contender, Round, Task]]:
    """What is run, in this order. A task's seed is the number of the repetition."""
    contenders = available(options.contenders)
    todo = list(tasks([chosen for chosen in ROUNDS if chosen.name in options.rounds], options))
    for repetition in range(options.repetitions):
        for chosen, task in todo:
            for contender in contenders:
                if contender.name in chosen.contenders:
                    yield contender, chosen, replace(task, seed=repetition)


def progress(run: Run, repetitions: int) -> str:
    """A line for a run that has ended."""
    augmented = ", augmented" if run.augmentation else ""
    return (
        f"repetition {run.repetition + 1} of {repetitions}, {run.round}, {run.network}{augmented}: {run.contender} "
        f"{run.rate:.0f} trial-epochs/min, {run.cpu:.2f} CPU s each, {run.wall:.0f} s, "
        f"other programs {run.others:.1f} cores"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run everything, then print the tables."""
    options = parse(arguments)
    heading, began, runs = machine(), time.time(), list[Run]()
    for contender, chosen, task in turns(options):
        runs.append(measure(contender, chosen, task))
        write(options.table, runs)
        minutes = (time.time() - began) / 60
        print(f"{minutes:5.1f} min  {progress(runs[-1], options.repetitions)}", flush=True)
    print(f"\n{heading}\n\n{tables(runs)}")


if __name__ == "__main__":
    main()
