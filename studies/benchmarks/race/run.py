"""What does each tool take home after one, two, four and eight minutes?

    python studies/benchmarks/race/run.py --data-root ../shared/data [--cifar FOLDER] [--seeds 5] [--csv race.csv]

The contenders run one after the other on the cores that this command may use. Each line of the CSV file is one tool,
seed and number of seconds; started again, the command runs what is missing. At the end it prints the tables and writes
the graph. A tool that is not installed is left out, and named.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from studies.benchmarks.csv_rows import append, read
from studies.benchmarks.race.contenders.task import Task
from studies.benchmarks.race.results import FIELDS, graph, tables

ROOT = Path(__file__).resolve().parents[3]  # of the repository
PEERS = "studies.benchmarks.race.contenders"
AFTER = (60, 120, 240, 480)  # seconds
OURS = "this search"
GRACE = 120  # seconds beyond its time, after which a run of this search is ended


@dataclass(frozen=True)
class Contender:
    """A script in contenders/."""

    name: str
    script: str
    needs: str | None = None  # a module that has to be installed; of Ray one that only its tune needs
    per_core: bool = False  # started once for each core


CONTENDERS = (
    Contender("Optuna, TPE and MedianPruner", "optuna_script", per_core=True),
    Contender("Ray Tune, ASHA and Optuna search", "ray_tune", "tensorboardX"),
    Contender("Keras Tuner, Hyperband", "keras_hyperband", "keras_tuner"),
    Contender("NePS, PriorBand", "neps_priorband", "neps"),
    Contender(OURS, "ours"),
)


def run(contender: Contender, task: Task, after: tuple[int, ...]) -> Iterator[dict[str, object]]:
    """One search by a contender, ended after the last of `after`; a row for each of them.

    This search runs to its own end, once for each of `after`: at the end it races its best, and that takes time.
    """
    if contender.name == OURS:
        for seconds in after:
            yield from _run(contender, replace(task, seconds=seconds), (seconds,), seconds + GRACE)
    else:
        yield from _run(contender, task, after, task.seconds)


def _run(contender: Contender, task: Task, after: tuple[int, ...], patience: float) -> Iterator[dict[str, object]]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        task = replace(task, folder=Path(folder), began=time.time())
        copies = task.cores if contender.per_core else 1
        processes = [_started(contender.script, task) for _ in range(copies)]
        _wait(processes, task.began + patience)
        took = time.time() - task.began
        command = [sys.executable, "-m", f"{PEERS}.measure", *map(str, after), *task.arguments()]
        told = subprocess.run(command, env=_environment(), stdout=subprocess.PIPE, text=True, check=True)
    for line in told.stdout.splitlines():
        if line.startswith("{"):
            yield {"dataset": task.dataset, "tool": contender.name, "seed": task.seed, "took": took} | json.loads(line)


def _started(script: str, task: Task) -> subprocess.Popen[bytes]:
    """In a process group of its own, and with what it says at hand where it fails."""
    log = (task.folder / f"{script}.log").open("ab")
    command = [sys.executable, "-m", f"{PEERS}.{script}", *task.arguments()]
    return subprocess.Popen(command, env=_environment(), stdout=log, stderr=log, start_new_session=True)


def _environment() -> dict[str, str]:
    """One thread for each process, and modules from the repository."""
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, **threads, "PYTHONPATH": path, "KERAS_BACKEND": "torch"}


def _wait(processes: list[subprocess.Popen[bytes]], until: float) -> None:
    """Until all have ended, or `until` (seconds since the epoch); then end them and what they started."""
    while any(process.poll() is None for process in processes) and time.time() < until:
        time.sleep(0.2)
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def installed() -> list[Contender]:
    """The contenders that can run; says which ones cannot."""
    found = []
    for contender in CONTENDERS:
        if contender.needs is None or importlib.util.find_spec(contender.needs):
            found.append(contender)
        else:
            print(f"left out: {contender.name}, because {contender.needs} is missing (pip install -e '.[bench]')")
    return found


def main() -> None:
    """Run what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, help="where Fashion-MNIST is")
    parser.add_argument("--cifar", type=Path, help="a folder of the CIFAR-10 images, with train/ and test/")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--after", type=int, nargs="+", default=AFTER, metavar="SECONDS")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("race.csv"))
    options = parser.parse_args()

    done = {(row["dataset"], row["tool"], int(row["seed"])) for row in read(options.csv)}
    images = {"FashionMNIST": options.data_root, "folder": options.cifar}
    cores = len(os.sched_getaffinity(0))
    for seed in range(options.seeds):
        for dataset, place in images.items():
            for contender in installed() if place is not None else ():
                if (dataset, contender.name, seed) in done:
                    continue
                task = Task(dataset, place.resolve(), seed, max(options.after), 0.0, cores, Path())
                task.data()  # decoded and kept, so that no contender has to
                rows = list(run(contender, task, tuple(options.after)))
                for row in rows:
                    append(options.csv, {name: row[name] for name in FIELDS})
                print(f"{dataset}, seed {seed}, {contender.name}: {len(rows)} of {len(options.after)} rows", flush=True)
    rows_kept = read(options.csv)
    print(tables(rows_kept))
    if rows_kept:
        options.csv.with_suffix(".svg").write_text(graph(rows_kept))


if __name__ == "__main__":
    main()
