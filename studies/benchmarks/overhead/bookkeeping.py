"""What the bookkeeping of a long search costs, beside what Optuna alone costs.

    python studies/benchmarks/overhead/bookkeeping.py

A study is filled with 100, 1,000 and 10,000 finished trials of made-up curves, and a search goes on from there whose
workers answer at once. So all the time that passes is bookkeeping: the real `Runner` and `Store`, the rules, the
choice. Beside it stands the part that passed inside Optuna: drawing parameters (`Study.ask`, `Trial.suggest_*`) and
writing to the database (`set_user_attr`, `set_constraint`, `tell`); for a resume, how long a plain Optuna study with
the same content takes to load. Times are CPU time of the search's process, which leaves out what other programs take;
each size is measured in a process of its own; of what happens many times, the median.
"""

import argparse
import contextlib
import functools
import math
import multiprocessing
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import optuna
import torch
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.choice.choose import candidates
from search.choice.constraints import Terms
from search.data import datasets
from search.data.tensors import prepare
from search.engine import launch
from search.engine.runner import Runner
from search.engine.store import Store, run_of
from search.engine.workers import Message, Worker, WorkerPool
from search.measurement import History
from search.results.snapshot import read_story
from search.results.trial_result import complete_runs, trial_results
from search.settings import Settings
from search.show import report
from search.show.dashboard import Publisher
from search.show.progress import Tally
from search.show.summary import summary
from search.show.terminal import Progress
from search.stopping.stopped import Stopped
from search.training.checkpoint import save_weights
from search.training.precision import Precision
from search.training.trial import Conditions, Job, Outcome, Report, Stop
from spaces import cnn

SIZES = (100, 1_000, 10_000)
MEASURED = 20  # trials on top of the finished ones
EPOCHS = 20
VAL_IMAGES = 3000
FINISHED_SHARE = 0.45  # of the trials; the others were hopeless before their end
TERMS = Terms(baseline_loss=0.6)
WEIGHTS = {"weight": torch.zeros(10, 10)}
NAME = "scale"
WORKER_TRIALS = 1000
MEMORY = "memory of the search's process, kB per trial"
OPTUNAS: tuple[tuple[Any, str], ...] = (
    (optuna.Study, "ask"),
    (optuna.Study, "tell"),
    (optuna.Trial, "suggest_int"),
    (optuna.Trial, "suggest_float"),
    (optuna.Trial, "set_user_attr"),
    (optuna.Trial, "set_constraint"),
)


def outcome(number: int, rng: np.random.Generator) -> Outcome:
    """A trial that a search might have had: loss falls by a power law towards its own level, the gap grows."""
    finished = rng.random() < FINISHED_SHARE
    epochs = EPOCHS if finished else int(rng.integers(3, EPOCHS))
    level = 0.28 + 0.3 * rng.random() ** 2 + (0 if finished else 0.2)
    at = np.arange(1, epochs + 1)
    val_loss = level + 1.5 * at**-1.2 + rng.normal(0, 0.004, epochs)
    gap = rng.random() * 0.4 * at / EPOCHS + rng.normal(0, 0.004, epochs)
    accuracy = 1 - val_loss / 3
    history = {
        "train_loss": val_loss - gap,
        "val_loss": val_loss,
        "train_accuracy": accuracy + gap / 3,
        "val_accuracy": accuracy,
        "val_loss_se": np.full(epochs, 0.015),
        "gap_se": np.full(epochs, 0.018),
        "gap": gap,
        "accuracy_gap": gap / 3,
        "val_rise_z": rng.normal(0, 1, epochs),
    }
    return Outcome(
        number=number,
        stopped=Stopped.FINISHED if finished else Stopped.HOPELESS,
        history={name: [float(f"{value:.6g}") for value in values] for name, values in history.items()},
        best_epoch=int(val_loss.argmin()),
        parameters=int(rng.integers(10_000, 1_000_000)),
        seconds=round(10 * rng.random(), 2),
        val_losses=rng.exponential(level, VAL_IMAGES).astype(np.float32),
    )


def frozen(ended: Outcome, drawn: optuna.trial.Trial, config: dict[str, Any]) -> FrozenTrial:
    """The trial as the search would have stored it."""
    run = run_of(ended, TERMS)
    assert run is not None
    attributes = {name: value for name, value in asdict(run).items() if name not in ("number", "feasible")}
    attributes |= {"config": config, "lineage": ended.number, "reason": ended.reason, "seconds": ended.seconds}
    complete = run.stopped == Stopped.FINISHED
    return create_trial(
        state=TrialState.COMPLETE if complete else TrialState.PRUNED,
        values=list(run.objectives) if complete else None,
        params=drawn.params,
        distributions=drawn.distributions,
        user_attrs=attributes | {"device": "cpu", "history": ended.history},
        constraints=TERMS.violations(run.val_loss, run.gap),
    )


def fill(folder: Path, size: int) -> None:
    """Add finished trials to the study in `folder` until it has so many."""
    launch.make_folder(folder)
    store = Store(url(folder), NAME, seed=0)
    drawing = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=size))
    for number in range(len(store.finished()), size):
        drawn = drawing.ask()
        config = cnn.suggest(drawn)
        store.study.add_trial(frozen(outcome(number, np.random.default_rng(number)), drawn, config))
        if number % 500 == 499:
            print(f"{number + 1:,} trials stored", flush=True)
    for run in candidates(complete_runs(store.study)):
        losses = np.random.default_rng(run.number).exponential(run.val_loss, VAL_IMAGES).astype(np.float32)
        save_weights(folder / "weights" / f"{run.number}.pt", WEIGHTS, losses)


def url(folder: Path) -> str:
    """Of the database in a run folder."""
    return f"sqlite:///{folder / 'study.db'}"


class Clock:
    """CPU seconds of this process: all, and those that passed inside Optuna's calls."""

    def __init__(self) -> None:
        self._inside = 0.0

    def now(self) -> np.ndarray:
        """All seconds and Optuna's, shape (2,)."""
        return np.array([time.process_time(), self._inside])

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Time Optuna's calls meanwhile."""
        with contextlib.ExitStack() as patches:
            for owner, name in OPTUNAS:
                patches.enter_context(mock.patch.object(owner, name, self._timed(getattr(owner, name))))
            yield

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            started = time.process_time()
            try:
                return call(*args, **kwargs)
            finally:
                self._inside += time.process_time() - started

        return timed


class Echo(WorkerPool):
    """In the place of the pool: one worker, whose epochs and trials are over as soon as they are asked for.

    times: between what it said and what the search then did, by `ask`, `epoch`, `stored` (an epoch whose curves were
    written to the database) and `tell`.
    """

    def __init__(self, conditions: Conditions, clock: Clock) -> None:
        self.conditions, self._clock = conditions, clock
        self.workers = [Worker("cpu")]
        self.times: dict[str, list[np.ndarray]] = {"ask": [], "epoch": [], "stored": [], "tell": []}
        self._asked = clock.now()
        self._said: np.ndarray | None = None
        self._plan: Iterator[Report | Outcome] = iter(())
        self._first = True
        self._answer: Stop | None = None

    def idle(self) -> list[Worker]:
        idle = super().idle()
        if idle:
            self._asked = self._clock.now()
            if self._said is not None:
                self.times["tell"].append(self._asked - self._said)
        return idle

    def submit(self, worker: Worker, job: Job) -> None:
        if job.keeps:  # no repeat of another trial
            self.times["ask"].append(self._clock.now() - self._asked)
        worker.job, self._said = job, None
        self._plan = self._course(job)

    def wait(self, seconds: float) -> Iterator[Message]:
        (worker,) = self.workers
        if worker.job is not None:
            job, content = worker.job, next(self._plan)
            if isinstance(content, Outcome):
                worker.job = None
            if job.keeps:
                self._said = self._clock.now()
            yield Message(worker, job, content)

    def answer(self, worker: Worker, stop: Stop | None) -> None:
        """The first epoch's curves go to the database; those after it come too soon for that."""
        if self._said is not None:
            self.times["stored" if self._first else "epoch"].append(self._clock.now() - self._said)
        self._answer = stop

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _course(self, job: Job) -> Iterator[Report | Outcome]:
        ended = outcome(job.number, np.random.default_rng([1, job.number]))
        self._answer = None
        for epochs in range(1, len(ended.history["val_loss"]) + 1):
            self._first = epochs == 1
            yield Report(job.number, _until(ended.history, epochs))
            if self._answer is not None:
                best = int(np.argmin(ended.history["val_loss"][:epochs]))
                yield Outcome(job.number, Stopped.HOPELESS, None, _until(ended.history, epochs), best, ended.parameters)
        if ended.stopped == Stopped.FINISHED and job.keeps:
            assert ended.val_losses is not None
            save_weights(self.conditions.weights(job.number), WEIGHTS, ended.val_losses)
        yield ended


def _until(history: History, epochs: int) -> History:
    return {name: values[:epochs] for name, values in history.items()}


class Silent(Progress):
    """Counts as the terminal's progress does, and prints nothing."""

    def note(self, text: str) -> None:
        pass


def bookkeeping(folder: Path, size: int, measured: int) -> dict[str, tuple[float, float]]:
    """Seconds of each step on a study with `size` finished trials, and those of them inside Optuna."""
    clock, before = Clock(), resident()
    started = time.process_time()
    store = Store(url(folder), NAME, seed=0)
    settings = Settings(
        name=NAME, dataset="digits", trials=size + measured, epochs=EPOCHS, workers=1, device="cpu", out=folder
    )
    pool = Echo(Conditions(TERMS, Precision(), folder), clock)
    tally = Tally(settings.trials, EPOCHS, 1, done=store.count(), runs=complete_runs(store.study))
    progress = Silent(tally, sys.stdout)
    publisher = Publisher(store.study, folder, TERMS, EPOCHS, progress.note)
    runner = Runner(settings, store, pool, cnn.suggest, progress, publisher, math.inf)
    found = {"resume": (time.process_time() - started, 0.0)}
    memory = (resident() - before) / size
    with clock.running():
        runner.run()
    for step, times in pool.times.items():
        every, inside = np.median(times, axis=0)
        found[step] = float(every), float(inside)
    choice = runner.choice()
    for step, act in (
        ("choice", runner.choice),
        ("list", lambda: trial_results(store.study)),
        ("summary", lambda: summary(settings, store.study, runner.runs, choice, TERMS)),
        ("report", lambda: report.write(folder, read_story(store.study))),
    ):
        started = time.process_time()
        act()
        found[step] = time.process_time() - started, 0.0
    return found | {MEMORY: (memory, 0.0)}


def plain_load(folder: Path) -> float:
    """Seconds that Optuna takes to load the study when nobody helps it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    started = time.process_time()
    optuna.load_study(study_name=NAME, storage=url(folder)).get_trials(deepcopy=False)
    return time.process_time() - started


def resident() -> int:
    """Bytes of this process's own memory."""
    import psutil

    return int(psutil.Process().memory_full_info().uss)


def worker_growth(folder: Path, trials: int) -> float:
    """Bytes by which a real worker's own memory grows for each trial that it trains: digits, one epoch each."""
    import psutil

    launch.make_folder(folder)
    source = datasets.load("digits", "train", Path("data"))
    data = prepare(source, train_size=200, val_size=100, seed=0, flip=False)
    pool = WorkerPool(["cpu"], "spaces.cnn", data, Conditions(TERMS, Precision(), folder))
    drawing = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    sizes = []
    (worker,) = pool.workers
    for number in range(trials):
        config = cnn.suggest(drawing.ask()) | {"width": 8 + number % 8}
        pool.submit(worker, Job(number, config, number, 1, number))
        while worker.job is not None:
            for _, _, content in pool.wait(1.0):
                if isinstance(content, Report):
                    pool.answer(worker, None)
        assert worker.process is not None
        sizes.append(psutil.Process(worker.process.pid).memory_full_info().uss)
    pool.close()
    half = trials // 2  # by then the allocator has what it needs
    return float(np.polyfit(np.arange(half), sizes[-half:], 1)[0])


def measure(source: Path, size: int, measured: int) -> dict[str, tuple[float, float]]:
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


def table(found: dict[int, dict[str, tuple[float, float]]]) -> str:
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
