"""The kinds of faults: what happens to a running search, and what it may do then."""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import optuna
import psutil

from studies.benchmarks.faults.searches import LONG, NAME, SHORT, Search, Size

Strike = Callable[[Search, random.Random], None]
DISK = "6m"  # a run folder takes up to 5 MB: the report, while it is replaced, 4 MB
WEIGHTS_DISK = "1m"


@dataclass(frozen=True)
class Kind:
    """One kind of fault."""

    strike: Strike  # returns once the fault is over
    ends: bool  # whether a search may end by it, and is started again then
    size: Size = SHORT
    workers: int | None = None  # None: one or two
    flags: tuple[str, ...] = ()
    disk: str | None = None  # the folder of the search that gets a small disk of its own
    times: int | None = None  # faults in one search
    early: bool = False  # in the first seconds of a start, while the image cache is filled
    begins_anew: bool = False  # it takes the finished trials with it
    every: int = 1  # in every so manieth round of the campaign

    @property
    def faults(self) -> int:
        """In one search; a start takes longer than most trials."""
        return self.times or (3 if self.ends else 4)


def on_workers(act: Callable[[psutil.Process, random.Random], None]) -> Strike:
    """Something happens to one worker at random."""

    def strike(search: Search, rng: random.Random) -> None:
        search.until(search.worker_processes)
        workers = search.worker_processes()
        if workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                act(rng.choice(workers), rng)

    return strike


def kill_group(search: Search, rng: random.Random) -> None:
    """As a machine that is switched off."""
    search.kill_group()


def kill_parent(search: Search, rng: random.Random) -> None:
    """The workers are left alone."""
    search.process.kill()


def kill_same_trial(search: Search, rng: random.Random) -> None:
    """The only worker, and the next one, which has got the same trial again: two times of the three allowed."""
    gone: set[int] = set()
    for _ in range(2):
        search.until(lambda: any(worker.pid not in gone for worker in search.worker_processes()))
        for worker in search.worker_processes():
            gone.add(worker.pid)
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()


def kill_fork_server(search: Search, rng: random.Random) -> None:
    """No worker can be started, until there is another."""
    search.until(search.fork_server)
    server = search.fork_server()
    if server is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            server.kill()


def stop_for(shortest: float, longest: float) -> Strike:
    """A worker stands still for some seconds, as those of a laptop that sleeps."""

    def act(worker: psutil.Process, rng: random.Random) -> None:
        worker.suspend()
        time.sleep(rng.uniform(shortest, longest))
        worker.resume()

    return on_workers(act)


def signalled(number: int, times: int) -> Strike:
    """A signal: Ctrl-C goes to the whole group, the others to the parent or to all."""

    def strike(search: Search, rng: random.Random) -> None:
        whole = number == signal.SIGINT or rng.random() < 0.5
        for time_ in range(times):
            if time_:
                time.sleep(rng.uniform(0.0, 0.8))
            with contextlib.suppress(ProcessLookupError):
                if search.running():
                    (os.killpg if whole else os.kill)(search.process.pid, number)

    return strike


def fill_disk(folder: Callable[[Search], Path]) -> Strike:
    """No room for some seconds."""

    def strike(search: Search, rng: random.Random) -> None:
        ballast = folder(search) / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        search.until(lambda: False, rng.uniform(3.0, 6.0))
        ballast.unlink()

    return strike


def lock(shortest: float, longest: float) -> Strike:
    """Another process has the database for itself."""

    def strike(search: Search, rng: random.Random) -> None:
        search.until(search.database.is_file)
        with contextlib.closing(sqlite3.connect(search.database, timeout=10, isolation_level=None)) as other:
            with contextlib.suppress(sqlite3.OperationalError):
                other.execute("BEGIN EXCLUSIVE")
            search.until(lambda: False, rng.uniform(shortest, longest))

    return strike


def move_folder(search: Search, rng: random.Random) -> None:
    """Somebody moves the run folder; the next start names it where it is now, or it is put back."""
    moved = search.folder.with_name(f"{search.folder.name}-moved")
    search.until(lambda: search.count() > 0)
    search.folder.rename(moved)
    ended = search.wait(30)
    if ended is None or rng.random() < 0.5:
        if search.folder.exists():  # a search may not have begun anew there
            raise AssertionError(f"{search.folder} is there again")
        moved.rename(search.folder)
    else:
        search.folder = moved


def delete_study(search: Search, rng: random.Random) -> None:
    """Somebody deletes the study, in the dashboard perhaps."""
    search.until(lambda: search.count() > 0)
    with contextlib.suppress(KeyError):
        optuna.delete_study(study_name=NAME, storage=f"sqlite:///{search.database}")


@contextlib.contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    """A disk of that size at `place`. Raises OSError where none may be mounted."""
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True)
    if done.returncode:
        raise OSError(done.stderr.decode().strip())
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _signals() -> dict[str, Kind]:
    numbers = {"SIGTERM": signal.SIGTERM, "SIGHUP": signal.SIGHUP, "SIGINT": signal.SIGINT}
    words = {1: "", 2: "-twice"}
    return {
        f"{name}{words[times]}": Kind(signalled(number, times), ends=True)
        for name, number in numbers.items()
        for times in (1, 2)
    }


def _long(names: Sequence[str]) -> dict[str, Kind]:
    """The same in searches with long trials."""
    return {f"{name}-long": replace(_SHORT[name], size=LONG, times=2, every=2) for name in names}


_SHORT = {
    "kill-group": Kind(kill_group, ends=True),
    "kill-parent": Kind(kill_parent, ends=True),
    "kill-worker": Kind(on_workers(lambda worker, rng: worker.kill()), ends=False),
    "kill-same-trial": Kind(kill_same_trial, ends=False, workers=1),
    "kill-fork-server": Kind(kill_fork_server, ends=False),
    "stop-worker": Kind(stop_for(2.0, 5.0), ends=False),
    "stop-worker-60-s": Kind(stop_for(60.0, 60.0), ends=False, times=2, every=2),
    "stop-worker-for-ever": Kind(
        on_workers(lambda worker, rng: worker.suspend()), ends=False, workers=1, flags=("--hang-after", "12")
    ),
    **_signals(),
    "disk-full": Kind(fill_disk(lambda search: search.folder), ends=True, disk=DISK),
    "disk-full-for-weights": Kind(fill_disk(lambda search: search.folder / "weights"), ends=False, disk=WEIGHTS_DISK),
    "lock": Kind(lock(3.0, 6.0), ends=False),
    "lock-30-s": Kind(lock(30.0, 30.0), ends=False, times=2, every=2),
    "lock-90-s": Kind(lock(90.0, 90.0), ends=False, times=2, every=2),
    "folder-moved": Kind(move_folder, ends=True),
    "study-deleted": Kind(delete_study, ends=True, begins_anew=True),
    "kill-while-cache-fills": Kind(kill_group, ends=True, early=True),
}
KINDS = _SHORT | _long(["kill-group", "kill-parent", "kill-worker", "SIGTERM"])
