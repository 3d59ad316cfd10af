"""What the bookkeeping of a long search costs, compared with the part of Optuna alone.

    python studies/benchmarks/overhead/bookkeeping.py

A study is filled with 100, 1,000 and 10,000 finished trials of made-up curves. A search continues from there with
workers that answer at once, so all its time is bookkeeping: the real `Runner` and `Store`, the rules, the choice. The
table also shows the part of the time inside Optuna: drawing parameters (`Study.ask`, `Trial.suggest_*`) and writing to
the database (`set_user_attr`, `set_constraint`, `tell`). For a resume it shows how long a plain Optuna study with the
same content takes to load. Times are CPU time of the search's process, so other programs do not count. Each size is
measured in a process of its own. A step that happens many times is shown by its median.
"""

import argparse
import math
import multiprocessing
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import optuna

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from search.engine import launch
from search.engine.runner import Runner
from search.engine.time_limit import TimeLimit
from search.recording.store import Store
from search.settings import Settings
from search.show.dashboard import Publisher
from search.show.progress import Progress
from search.show.report import write_report
from search.show.summary import summary
from search.training.precision import Precision
from search.training.trial import Conditions
from spaces import cnn
from studies.benchmarks.overhead.filled_study import CONSTRAINTS, EPOCHS, NAME, fill, url
from studies.benchmarks.overhead.instant_workers import Clock, InstantPool, SilentTerminal
from studies.benchmarks.overhead.memory import own_bytes, worker_growth

SIZES = (100, 1_000, 10_000)
MEASURED = 20  # trials on top of the finished ones
WORKER_TRIALS = 1000
MEMORY = "memory of the search's process, kB per trial"

Figures = dict[str, tuple[float, float]]
"""By step: all seconds, and those of them inside Optuna."""


def bookkeeping(folder: Path, size: int, measured: int) -> Figures:
    """The seconds of each step on a study with `size` finished trials; and the bytes of memory per trial."""
    clock, before = Clock(), own_bytes()
    started = time.process_time()
    store = Store(url(folder), NAME, seed=0)
    settings = Settings(
        name=NAME, dataset="digits", trials=size + measured, epochs=EPOCHS, workers=1, device="cpu", out=folder
    )
    pool = InstantPool(Conditions(CONSTRAINTS, Precision(), folder, "study", "data"), clock)
    progress = Progress(settings.trials, EPOCHS, 1, done=store.count(), runs=store.snapshot().runs)
    terminal = SilentTerminal(progress)
    publisher = Publisher(store.study, folder, CONSTRAINTS, EPOCHS)
    runner = Runner(settings, store, pool, cnn.suggest, terminal, publisher, TimeLimit(None, race=False))
    found = {"resume": (time.process_time() - started, 0.0)}
    memory = (own_bytes() - before) / size
    with clock.running():
        runner.run()
    for step, times in pool.times.items():
        every, inside = np.median(times, axis=0)
        found[step] = float(every), float(inside)
    return found | at_the_end(settings, store, runner) | {MEMORY: (memory, 0.0)}


def at_the_end(settings: Settings, store: Store, runner: Runner) -> Figures:
    """The seconds of the steps at the end of a search."""
    found = {}
    for step, act in (
        ("choice", runner.choice),
        ("list", store.snapshot),
        ("summary", lambda: summary(store.snapshot(), settings.folder, None)),
        ("report", lambda: write_report(settings.folder, store.snapshot())),
    ):
        started = time.process_time()
        act()
        found[step] = time.process_time() - started, 0.0
    return found


def plain_load(folder: Path) -> float:
    """The seconds that Optuna alone takes to load the study."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    started = time.process_time()
    optuna.load_study(study_name=NAME, storage=url(folder)).get_trials(deepcopy=False)
    return time.process_time() - started


def measure(source: Path, size: int, measured: int) -> Figures:
    """The figures of one size, each taken on a copy of the study and in a new process."""
    folder = source.with_name(str(size))
    shutil.copytree(source / "weights", folder / "weights")
    launch.make_folder(folder)
    with sqlite3.connect(source / "study.db") as database, sqlite3.connect(folder / "study.db") as copy:
        database.backup(copy)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as process:
        loading = process.submit(plain_load, folder).result()
        found = process.submit(bookkeeping, folder, size, measured).result()
    return found | {"resume": (found["resume"][0], loading)}


def table(found: dict[int, Figures]) -> str:
    """Markdown: a row for each step and size, in milliseconds, and one for memory in kB."""
    rows = [["step", "finished trials", "ms", "inside Optuna", "our part"], ["---", "---:", "---:", "---:", "---:"]]
    for step in found[min(found)]:
        for size, figures in found.items():
            every, inside = figures[step]
            if step == MEMORY:
                rows.append([step, f"{size:,}", f"{every / 1000:.1f}", "", ""])
            elif step == "resume":
                rows.append([step, f"{size:,}", _ms(every), f"alone: {_ms(inside)}", ""])
            elif not math.isnan(every):
                shares = [_ms(inside), _ms(every - inside)] if inside else ["", _ms(every)]
                rows.append([step, f"{size:,}", _ms(every), *shares])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.1f}" if seconds < 1 else f"{1000 * seconds:,.0f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="finished trials, ascending")
    parser.add_argument("--measured", type=int, default=MEASURED, help=f"trials on top (default: {MEASURED})")
    parser.add_argument("--worker-trials", type=int, default=WORKER_TRIALS, help="for the memory of a worker")
    options = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "filled"
        for size in options.sizes:
            fill(source, size)
            found[size] = measure(source, size, options.measured)
        growth = worker_growth(Path(scratch) / "worker", options.worker_trials)
    print(table(found))
    print(f"\na worker's own memory grows by {growth / 1000:.1f} kB per trial ({options.worker_trials} trials)")


if __name__ == "__main__":
    main()
