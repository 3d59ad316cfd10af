"""What a search of many workers waits for PostgreSQL: its asks and tells, and a restart of the server in the middle.

    python studies/benchmarks/overhead/postgres.py [--trials 10000] [--workers 64]

The server is a private one on this machine. The workers are made up: one of the running trials ends after the other, in
random order, its curves are stored once before, and another one is asked for. Half-way the server is stopped, and
started again three seconds later. The table shows milliseconds of a trial, of every tenth of the trials: of an ask, of
those the sampler's own, of a tell, and of both but for the sampler. The last lines check that nothing was lost.
"""

import argparse
import contextlib
import functools
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import numpy as np

from search.choice.run import Run
from search.recording.owner import Owner, claim
from search.recording.store import Store
from search.results.schema import LINEAGE, StudyAttribute
from search.sampling.sampler import ScalarizingSampler
from search.spaces import suggester
from studies.benchmarks.overhead.filled_study import CONSTRAINTS, outcome
from studies.benchmarks.overhead.postgres_server import Server, private_server

DOWN_SECONDS = 3.0
SAMPLER = ("infer_relative_search_space", "sample_relative", "sample_independent", "before_trial", "after_trial")


class Sampler:
    """The seconds that the sampler has taken."""

    def __init__(self) -> None:
        self.seconds, self._within = 0.0, False

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Time its methods meanwhile, those that others of them call once."""
        with contextlib.ExitStack() as patches:
            for name in SAMPLER:
                patches.enter_context(
                    mock.patch.object(ScalarizingSampler, name, self._timed(getattr(ScalarizingSampler, name)))
                )
            yield

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def timed(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
            if self._within:
                return method(*arguments, **named)
            self._within, began = True, time.perf_counter()
            try:
                return method(*arguments, **named)
            finally:
                self._within = False
                self.seconds += time.perf_counter() - began

        return timed


class Search:
    """A search whose workers are made up; `times` has a row for each trial: ask, of it the sampler, tell; seconds."""

    def __init__(self, store: Store, owner: Owner, sampler: Sampler) -> None:
        self._store, self._owner, self._sampler = store, owner, sampler
        self._suggest = suggester("spaces.cnn", {})
        self._rng = np.random.default_rng(0)
        self._running: list[int] = []
        self._runs: list[Run] = []
        self.told: dict[int, float] = {}  # validation losses, by number
        self.times: list[tuple[float, float, float]] = []

    def turn(self, workers: int) -> None:
        """Ask until all workers are busy, and end one of the trials."""
        self._owner.beat()
        while len(self._running) < workers:
            self._ask()
        ended = outcome(self._running.pop(int(self._rng.integers(len(self._running)))), self._rng)
        assert ended.run is not None
        self._store.live(ended.number, ended.history)
        began = time.perf_counter()
        result = self._store.record_ended(ended, CONSTRAINTS, "cpu", self._runs)
        told = time.perf_counter() - began
        if result.complete:
            self._runs.append(ended.run)
        self.told[ended.number] = ended.run.at_best.val_loss
        self.times.append((*self._ask(), told))

    def _ask(self) -> tuple[float, float]:
        """Seconds of an ask, and the sampler's own."""
        began, before = time.perf_counter(), self._sampler.seconds
        trial, _, _ = self._store.ask(self._suggest)
        self._running.append(trial.number)
        return time.perf_counter() - began, self._sampler.seconds - before


def search(server: Server, folder: Path, trials: int, workers: int) -> Search:
    """Search, with a restart of the server half-way."""
    store = Store(server.url, "many", seed=0)
    store.describe(StudyAttribute.BASELINE, {"val_loss": CONSTRAINTS.baseline_loss})
    sampler, tenth = Sampler(), max(trials // 10, 1)
    print(f"{_line(['trials', 'ask', 'sampler', 'tell', 'ask + tell - sampler'])}\n{_line(['---:'] * 5)}")
    with claim(store.study, folder, server.url) as owner, sampler.timed():
        made_up = Search(store, owner, sampler)
        for number in range(1, trials + 1):
            if number == trials // 2:
                server.stop()
                threading.Timer(DOWN_SECONDS, server.start).start()
            made_up.turn(workers)
            if number % tenth == 0:
                print(_row(number, made_up.times[-tenth:]), flush=True)
    return made_up


def lost(server: Server, told: dict[int, float], workers: int) -> list[str]:
    """What the database lacks, has twice, or has otherwise than it was told."""
    study = Store(server.url, "many", seed=0).study
    trials, found = study.get_trials(deepcopy=False), []
    states = Counter(trial.state.name for trial in trials)
    ended = {trial.number: trial.user_attrs.get("val_loss") for trial in trials if trial.state.is_finished()}
    if ended != told:
        found.append(f"{len(told)} trials were told, {len(ended)} have ended")
    if states["RUNNING"] != workers or len(trials) != len(told) + workers:
        found.append(f"{len(trials)} trials, of which {states['RUNNING']} run")
    if twice := [lineage for lineage, n in Counter(trial.user_attrs[LINEAGE] for trial in trials).items() if n > 1]:
        found.append(f"drawn twice: {twice}")
    return found


def _row(number: int, times: Sequence[tuple[float, float, float]]) -> str:
    ask, sampler, tell = np.array(times).T
    medians = [1000 * float(np.median(column)) for column in (ask, sampler, tell, ask + tell - sampler)]
    return _line([f"{number:,}", *(f"{median:.1f}" for median in medians)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Search and print; exits with 1 where something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000, help="that end (default: 10,000)")
    parser.add_argument("--workers", type=int, default=64, help="trials that run at any time (default: 64)")
    options = parser.parse_args(arguments)
    with private_server() as server, tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        done = search(server, Path(folder), options.trials, options.workers)
        cpu = (time.process_time() - began) / options.trials
        problems = lost(server, done.told, options.workers)
    both = np.array([ask + tell - sampler for ask, sampler, tell in done.times])
    median, most = 1000 * np.quantile(both, (0.5, 0.99))
    print(f"\nask + tell - sampler: median {median:.1f} ms, 99% below {most:.1f} ms, longest {both.max():.1f} s")
    print(f"CPU time of the search's process: {1000 * cpu:.1f} ms for each trial, the sampler and curves included")
    print("; ".join(problems) or f"nothing lost: {len(done.told):,} trials as they were told, none twice")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
