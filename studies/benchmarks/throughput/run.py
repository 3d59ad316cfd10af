"""Trial-epochs per minute of this search, of other tools as their documentation shows them, and of a bare PyTorch loop.

    pip install -e '.[bench]'
    python studies/benchmarks/throughput/run.py --data-root ../shared/data

Every contender is a script in peers/, started with the same flags: the same network, images, batch size, number of
trials and epochs, and after each epoch the loss of the train probe and of the validation split, in eval mode. The
trials differ in learning rate, weight decay and dropout, none of which changes the work. Contenders take turns within a
repetition; ratios are taken within each repetition, and their median over repetitions is shown.

Timed is the search proper, from the end of the main process's imports to the end of the search: worker processes with
their imports, reading the images, and for ours the linear baseline, the bookkeeping and the export are included. An
epoch counts where it was really trained; what a rule stops early adds nothing. CPU seconds are those of all processes
of a contender from the same moment on, read five times a second: the last moment of a process may be missed.

Two rounds. In the first all contenders train few epochs; start-up, of seconds, weighs more there than in a search of
minutes. In the second, longer one this search is compared with the hand-written script and with the bare loop alone.

All contenders are bound to the first `--cores` cores that this process may use (Linux). Every run becomes a line of
throughput.csv beside this file; the tables are printed in Markdown at the end.
"""

import argparse
import csv
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import optuna

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from studies.benchmarks.throughput.peers.clock import CPUClock, busy_seconds, outputs_of
from studies.benchmarks.throughput.peers.task import NETWORKS, STUDY, Task, shared_storage

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("torch", "torchvision", "optuna", "lightning", "ray", "keras", "keras-tuner", "numpy")


@dataclass(frozen=True)
class Contender:
    """A row of the tables. needs: modules. per_core: started once per core, sharing the trials."""

    name: str
    label: str
    script: str
    needs: tuple[str, ...] = ()
    bf16: bool = False
    per_core: bool = False


OURS, OURS_BF16 = "ours", "ours bf16"
CONTENDERS = (
    Contender("optuna", "(a) Optuna, DataLoader, torchvision transforms", "optuna_script"),
    Contender("optuna per core", "(a) the same, one process per core", "optuna_script", per_core=True),
    Contender("lightning", "(b) Optuna with Lightning", "optuna_lightning", ("lightning", "optuna_integration")),
    Contender("ray", "(c) Ray Tune, no scheduler", "ray_tune", ("ray",)),
    Contender("keras", "(d) Keras Tuner, torch backend", "keras_tuner_search", ("keras", "keras_tuner")),
    Contender("bare", "(e) bare loop", "bare_loop"),
    Contender("bare bf16", "(e) bare loop, bf16", "bare_loop", bf16=True),
    Contender(OURS, "this search", "ours"),
    Contender(OURS_BF16, "this search, bf16", "ours", bf16=True),
)
LONGER = ("optuna", "bare", "bare bf16", OURS, OURS_BF16)


COLUMNS = (
    "",
    "trial-epochs/min",
    "this search",
    "in bf16",
    "CPU s per trial-epoch",
    "this search",
    "in bf16",
    "trained",
    "accuracy",
    "measuring",
)


@dataclass(frozen=True)
class Round:
    """Who trains how much, in front of what. trials: on each network."""

    name: str
    contenders: tuple[str, ...]
    trials: Mapping[str, int]
    epochs: int
    augmentations: tuple[bool, ...]


ROUNDS = (
    Round("short", tuple(contender.name for contender in CONTENDERS), {"small": 16, "middling": 8}, 4, (False, True)),
    Round("longer", LONGER, {"small": 48, "middling": 24}, 10, (False,)),
)


@dataclass(frozen=True)
class Run:
    """One contender's run of one task.

    trial_epochs: really trained. seconds: of the search proper. wall: of the whole command. cpu_seconds: of all
    processes, without the main process's imports. accuracy: median over trials, on the validation images after the
    last epoch. measuring: share of all workers' seconds that went into measuring the two losses; empty if unknown.
    others: cores that other programs kept busy meanwhile, on average; loops with several threads suffer most from them.
    """

    round: str
    network: str
    augmentation: bool
    contender: str
    repetition: int
    cores: int
    planned: int
    trial_epochs: int
    seconds: float
    wall: float
    cpu_seconds: float
    others: float
    accuracy: float | None
    measuring: float | None

    @property
    def rate(self) -> float:
        """Trial-epochs per minute."""
        return 60 * self.trial_epochs / self.seconds

    @property
    def cpu(self) -> float:
        """CPU seconds per trial-epoch."""
        return self.cpu_seconds / self.trial_epochs


def run(contender: Contender, task: Task) -> dict[str, Any]:
    """Start a contender on a task and wait for it; what all its processes reported, with the rest of `Run`.

    Raises RuntimeError with the last lines of its output where it fails.
    """
    cores = sorted(os.sched_getaffinity(0))[: task.cores]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", f"studies.benchmarks.throughput.peers.{contender.script}", *task.arguments()]
    began, busy = time.time(), busy_seconds()
    with tempfile.TemporaryFile("w+") as said:
        processes = [
            subprocess.Popen(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )
            for _ in range(task.copies)
        ]
        clock = CPUClock([process.pid for process in processes])
        outputs = outputs_of(processes, clock)
        if any(process.returncode for process in processes):
            said.seek(0)
            raise RuntimeError(f"{contender.name} failed: {' '.join(command)}\n{said.read()[-3000:]}")
    wall, busy = time.time() - began, busy_seconds() - busy
    reports = [json.loads(output.strip().splitlines()[-1]) for output in outputs]
    return merged(reports) | {
        "wall": wall,
        "cpu_seconds": clock.seconds() - _total(reports, "cpu_before"),
        "others": max(0.0, busy - clock.seconds()) / wall,
    }


def merged(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The reports of processes that shared the trials as one: from the first one's start to the last one's end."""
    accuracies = [accuracy for report in reports for accuracy in report["accuracies"]]
    known = all(report["measuring"] is not None for report in reports)
    return {
        "trial_epochs": sum(sum(report["epochs"]) for report in reports),
        "seconds": max(report["ended"] for report in reports) - min(report["began"] for report in reports),
        "accuracy": statistics.median(accuracies) if accuracies else None,
        "measuring": _total(reports, "measuring") if known else None,
    }


def _total(reports: Sequence[dict[str, Any]], name: str) -> float:
    return sum(report[name] for report in reports)


def settings(rounds: Sequence[Round], options: argparse.Namespace) -> Iterator[tuple[Round, Task]]:
    """Every task of every round, without its folder."""
    for chosen in rounds:
        for network in options.networks:
            for augmentation in chosen.augmentations[: 1 if options.plain else None]:
                yield (
                    chosen,
                    Task(
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
                    ),
                )


def measure(contender: Contender, chosen: Round, task: Task) -> Run:
    """One run, in an empty folder."""
    copies = task.cores if contender.per_core else 1
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        task = replace(task, folder=Path(folder), bf16=contender.bf16, copies=copies)
        if contender.per_core:  # the tutorial makes the study first; processes that make it at once fail
            optuna.create_study(storage=shared_storage(task), study_name=STUDY)
        figures = run(contender, task)
    if figures["measuring"] is not None:
        side_by_side = task.cores if contender.per_core or contender.script == "bare_loop" else 1
        figures["measuring"] /= figures["seconds"] * side_by_side
    return Run(
        round=chosen.name,
        network=task.network,
        augmentation=task.augmentation,
        contender=contender.name,
        repetition=task.seed,
        cores=task.cores,
        planned=task.trials * task.epochs,
        **figures,
    )


def ratio(runs: Sequence[Run], above: str, below: str, figure: str) -> float | None:
    """Median over repetitions of one contender's figure by another's in the same repetition; None without both."""
    by_turn = {(run.contender, run.repetition): getattr(run, figure) for run in runs}
    turns = {
        run.repetition for run in runs if (above, run.repetition) in by_turn and (below, run.repetition) in by_turn
    }
    if not turns:
        return None
    return statistics.median(by_turn[above, turn] / by_turn[below, turn] for turn in turns)


def table(runs: Sequence[Run]) -> str:
    """Runs of one task as Markdown, a line for each contender."""
    rows = [list(COLUMNS), ["---", *["---:"] * (len(COLUMNS) - 1)]]
    for contender in CONTENDERS:
        own = [run for run in runs if run.contender == contender.name]
        if own:
            rows.append([contender.label, *_cells(contender.name, own, runs)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cells(name: str, own: Sequence[Run], runs: Sequence[Run]) -> list[str]:
    faster = [ratio(runs, ours, name, "rate") for ours in (OURS, OURS_BF16)]
    leaner = [ratio(runs, ours, name, "cpu") for ours in (OURS, OURS_BF16)]
    return [
        f"{statistics.median(run.rate for run in own):.0f}",
        *("" if value is None else f"{value:.2f}x" for value in faster),
        f"{statistics.median(run.cpu for run in own):.2f}",
        *("" if value is None else f"{value:.0%}" for value in leaner),
        f"{statistics.median(run.trial_epochs for run in own):.0f} of {own[0].planned}",
        _share([run.accuracy for run in own], 1),
        _share([run.measuring for run in own], 0),
    ]


def _share(values: Sequence[float | None], digits: int) -> str:
    """Median of shares as a percentage; nothing where one is unknown."""
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):.{digits}%}" if len(known) == len(values) else ""


def tables(runs: Sequence[Run]) -> str:
    """A table for each task, in the order in which they were run."""
    tasks = dict.fromkeys((run.round, run.network, run.augmentation) for run in runs)
    parts = []
    for key in tasks:
        same = [run for run in runs if (run.round, run.network, run.augmentation) == key]
        name, network, augmentation = key
        shape = NETWORKS[network]
        title = f"{network} network ({shape['depth']} convolutions, width {shape['width']}), " + (
            "with augmentation" if augmentation else "no augmentation"
        )
        count = f"{len({run.repetition for run in same})} repetitions, {same[0].cores} cores"
        others = f"other programs on {statistics.median(run.others for run in same):.1f} of them"
        parts.append(f"**{title}; {name}; {count}, {others}**\n\n{table(same)}")
    return "\n\n".join(parts)


def write(path: Path, runs: Sequence[Run]) -> None:
    """All runs so far, one line each."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(field.name for field in fields(Run))
        for run in runs:
            rows.writerow(f"{value:.4g}" if isinstance(value, float) else value for value in asdict(run).values())


def available(names: Sequence[str]) -> list[Contender]:
    """The contenders of these names whose packages are there; says which are left out."""
    chosen = [contender for contender in CONTENDERS if contender.name in names]
    for contender in chosen:
        missing = [module for module in contender.needs if importlib.util.find_spec(module) is None]
        if missing:
            print(f"left out: {contender.name}, for want of {', '.join(missing)} (pip install -e '.[bench]')")
    return [contender for contender in chosen if all(importlib.util.find_spec(module) for module in contender.needs)]


def machine() -> str:
    """Versions and load, for the heading of the tables."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return f"{', '.join(versions)}; Python {platform.python_version()}; load before {os.getloadavg()[0]:.1f}"


def main() -> None:
    """Run everything, then print the tables."""
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
    parser.add_argument("--table", type=Path, default=Path(__file__).with_name("throughput.csv"))
    options = parser.parse_args()

    heading, began, runs = machine(), time.time(), list[Run]()
    contenders = available(options.contenders)
    todo = list(settings([chosen for chosen in ROUNDS if chosen.name in options.rounds], options))
    for repetition in range(options.repetitions):
        for chosen, task in todo:
            for contender in (contender for contender in contenders if contender.name in chosen.contenders):
                done = measure(contender, chosen, replace(task, seed=repetition))
                runs.append(done)
                write(options.table, runs)
                print(
                    f"{(time.time() - began) / 60:5.1f} min  repetition {repetition + 1} of {options.repetitions}, "
                    f"{chosen.name}, {task.network}{', augmented' * task.augmentation}: {contender.name} "
                    f"{done.rate:.0f} trial-epochs/min, {done.cpu:.2f} CPU s each, {done.wall:.0f} s, "
                    f"other programs {done.others:.1f} cores",
                    flush=True,
                )
    print(f"\n{heading}\n\n{tables(runs)}")


if __name__ == "__main__":
    main()
