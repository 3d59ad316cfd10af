"""Start one contender on one task, and measure its time and its CPU seconds."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna

from studies.benchmarks.throughput.contenders import Contender, Round
from studies.benchmarks.throughput.peers.clock import CPUClock, busy_seconds, outputs_of
from studies.benchmarks.throughput.peers.task import STUDY, Task, shared_storage

ROOT = Path(__file__).resolve().parents[3]  # of the repository
PEERS = "studies.benchmarks.throughput.peers"


@dataclass(frozen=True)
class Run:
    """One contender's run of one task."""

    round: str
    network: str
    augmentation: bool
    contender: str
    repetition: int
    cores: int
    planned: int  # trial-epochs
    trial_epochs: int  # really trained
    seconds: float  # of the search proper
    wall: float  # seconds of the whole command
    cpu_seconds: float  # of all processes, without the imports of the main process
    others: float  # cores that other programs kept busy, on average; a loop with several threads suffers most from it
    accuracy: float | None  # median over trials, on the validation images after the last epoch
    measuring: float | None  # share of all workers' seconds that went into measuring the two losses; None: unknown

    @property
    def rate(self) -> float:
        """Trial-epochs per minute."""
        return 60 * self.trial_epochs / self.seconds

    @property
    def cpu(self) -> float:
        """CPU seconds per trial-epoch."""
        return self.cpu_seconds / self.trial_epochs


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


def run(contender: Contender, task: Task) -> dict[str, Any]:
    """Start a contender on a task and wait for it. Returns what its processes reported, and the other fields of `Run`.

    Raises RuntimeError with the last lines of its output if it fails.
    """
    command = [sys.executable, "-m", f"{PEERS}.{contender.script}", *task.arguments()]
    began, busy = time.time(), busy_seconds()
    with tempfile.TemporaryFile("w+") as said:
        processes = [_started(command, task.cores, said.fileno()) for _ in range(task.copies)]
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


def _started(command: Sequence[str], count: int, stderr: int) -> subprocess.Popen[str]:
    """A process bound to the first `count` cores. It finds the contenders, and so do the workers that it starts."""
    cores = sorted(os.sched_getaffinity(0))[:count]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )


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
