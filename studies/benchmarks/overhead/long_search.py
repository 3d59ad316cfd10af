"""What grows in a long search: a real one of thousands of tiny trials on digits, with one worker process.

    python studies/benchmarks/overhead/long_search.py

Each trial is an epoch of 100 images with a small network, so nearly all that is measured is bookkeeping. Of every 250
trials the table shows the milliseconds of a trial; the CPU time of the search's process for each of its steps, and of
the worker; the memory that each of the two shares with no other process; and their open descriptors. Other programs
count in the first column alone. The last lines say by how much each process grew with a trial.
"""

import argparse
import contextlib
import functools
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from search.engine import launch
from search.engine.runner import Runner
from search.processes import start_fork_server
from search.recording.store import Store
from search.recording.weights import KeptWeights
from search.settings import Settings
from search.show.dashboard import Publisher
from search.training.trial import Job
from search.workers.process_pool import ProcessWorker, WorkerPool

TRIALS, EVERY = 3_000, 250
RANGES = {"depth": (2, 2), "width": (8, 8), "kernel_size": (3, 3)}
STEPS: tuple[tuple[str, Any, str], ...] = (
    ("ask", Store, "ask"),
    ("tell", Store, "record_ended"),
    ("weights", KeptWeights, "update"),
    ("choice", Runner, "choice"),
    ("dashboard", Publisher, "attach_curves"),
    ("dashboard", Publisher, "ended"),
    ("dashboard", Publisher, "update"),
)
COLUMNS = ("wall", "search", *dict.fromkeys(step for step, _, _ in STEPS), "rest", "collector", "worker")


@dataclass(frozen=True)
class Moment:
    """What the two processes have used up by then, in seconds by column, and what they hold."""

    trials: int
    seconds: dict[str, float]
    search_bytes: int  # that it shares with no other process
    worker_bytes: int
    search_descriptors: int
    worker_descriptors: int


@dataclass
class Watch:
    """Follows one search in this process: CPU seconds of its steps, and a `Moment` every so many trials."""

    every: int
    moments: list[Moment] = field(default_factory=list)
    _spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(COLUMNS, 0.0))
    _trials: int = 0
    _collecting: float = 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Watch the search that is run meanwhile."""
        gc.callbacks.append(self._collector)
        with contextlib.ExitStack() as patches:
            for step, owner, name in STEPS:
                patches.enter_context(mock.patch.object(owner, name, self._timed(step, getattr(owner, name))))
            patches.enter_context(mock.patch.object(WorkerPool, "submit", self._counted(WorkerPool.submit)))
            try:
                yield
            finally:
                gc.callbacks.remove(self._collector)

    def _timed(self, step: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def timed(*arguments: Any) -> Any:  # noqa: ANN401
            began = time.process_time()
            try:
                return call(*arguments)
            finally:
                self._spent[step] += time.process_time() - began

        return timed

    def _counted(
        self, submit: Callable[[WorkerPool, ProcessWorker, Job], None]
    ) -> Callable[[WorkerPool, ProcessWorker, Job], None]:
        """Before a worker gets a trial, all is as it is between two trials."""

        def counted(pool: WorkerPool, worker: ProcessWorker, job: Job) -> None:
            if self._trials and self._trials % self.every == 0 and worker.process is not None:
                self.moments.append(self._moment(psutil.Process(worker.process.pid)))
                print(header() if len(self.moments) == 1 else row(*self.moments[-2:]), flush=True)
            self._trials += 1
            submit(pool, worker, job)

        return counted

    def _moment(self, worker: psutil.Process) -> Moment:
        search = psutil.Process()
        used = worker.cpu_times()
        ticks = {"wall": time.monotonic(), "search": time.process_time(), "worker": used.user + used.system}
        return Moment(
            trials=self._trials,
            seconds=self._spent | ticks,
            search_bytes=search.memory_full_info().uss,
            worker_bytes=worker.memory_full_info().uss,
            search_descriptors=search.num_fds(),
            worker_descriptors=worker.num_fds(),
        )

    def _collector(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.process_time()
        else:
            self._spent["collector"] += time.process_time() - self._collecting


def search(folder: Path, trials: int, watch: Watch) -> None:
    """A search of trials that take next to no time."""
    settings = Settings(
        name="long", dataset="digits", trials=trials, epochs=1, workers=1, device="cpu", out=folder, ranges=RANGES,
        train_size=100, val_size=100,
    )  # fmt: skip
    start_fork_server()
    with watch.running():
        launch.run_search(settings)


def header() -> str:
    """Markdown: the first two lines of the table."""
    names = ["trials", *COLUMNS, "search, MB", "worker, MB", "descriptors"]
    return f"{_line(names)}\n{_line(['---:'] * len(names))}"


def row(before: Moment, after: Moment) -> str:
    """Markdown: milliseconds per trial from one moment to the next; memory in MB and descriptors then."""
    return _line(
        [
            f"{before.trials:,} to {after.trials:,}",
            *(f"{value:.1f}" for value in milliseconds(before, after).values()),
            f"{after.search_bytes / 1e6:.1f}",
            f"{after.worker_bytes / 1e6:.1f}",
            f"{after.search_descriptors}, {after.worker_descriptors}",
        ]
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def milliseconds(before: Moment, after: Moment) -> dict[str, float]:
    """Of a trial between two moments, by column; `rest` is what the search's process did outside of all steps."""
    trials = after.trials - before.trials
    found = {name: 1000 * (after.seconds[name] - before.seconds[name]) / trials for name in COLUMNS}
    return found | {"rest": found["search"] - sum(found[step] for step in {step for step, _, _ in STEPS})}


def growth(moments: Sequence[Moment], name: str) -> float:
    """Bytes by trial: the slope over the second half, when the allocator has what it needs."""
    late = moments[len(moments) // 2 :]
    return float(np.polyfit([moment.trials for moment in late], [getattr(moment, name) for moment in late], 1)[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Search and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=TRIALS, help=f"default: {TRIALS:,}")
    parser.add_argument("--every", type=int, default=EVERY, help=f"trials of each row (default: {EVERY})")
    options = parser.parse_args(arguments)
    watch = Watch(options.every)
    with tempfile.TemporaryDirectory() as scratch:
        search(Path(scratch) / "run", options.trials + 1, watch)
    print()
    for name in ("search", "worker"):
        print(f"{name}: {growth(watch.moments, f'{name}_bytes') / 1000:.1f} kB per trial")


if __name__ == "__main__":
    main()
