"""A real search on digits as somebody else sees it: its processes, its study, its files."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psutil

ROOT = Path(__file__).resolve().parents[3]
SPACE = Path(__file__).with_name("counted_space.py")
IMAGES = 200  # to train on
NAME = "digits"
ENDED = ("COMPLETE", "PRUNED")


class Size(NamedTuple):
    """How much a search has to do."""

    trials: int
    epochs: int
    seconds: float = 0.0  # that an image takes longer

    def flags(self) -> list[str]:
        """Of the study's script."""
        sizes = {"trials": self.trials, "epochs": self.epochs, "train-size": IMAGES, "val-size": 100}
        return [part for name, value in sizes.items() for part in (f"--{name}", str(value))]


SHORT = Size(trials=12, epochs=4)
LONG = Size(trials=3, epochs=20, seconds=0.01)  # 40 s a trial: with checkpoints


class Trial(NamedTuple):
    """A trial as the study has it."""

    number: int
    state: str
    attributes: dict[str, str]  # JSON
    params: dict[str, float]

    @property
    def ended(self) -> bool:
        """Whether it has a result."""
        return self.state in ENDED

    @property
    def lineage(self) -> int | None:
        """The place of its configuration in the order of drawing."""
        text = self.attributes.get("lineage")
        return None if text is None else int(text)

    def outcome(self) -> tuple[Any, ...]:
        """What came of its configuration, whatever its number is and however long it took."""
        known = [self.attributes.get(key) for key in ("stopped", "val_loss", "gap", "epochs_run", "best_epoch")]
        return self.lineage, self.state, tuple(sorted(self.params.items())), *known


def read_trials(database: Path, seconds: float = 1.0) -> dict[int, Trial] | None:
    """The trials of the study by number; None where there is no study, or another process has it locked."""
    if not database.is_file():
        return None
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{database}?mode=rw", uri=True, timeout=seconds)) as connection,
    ):
        connection.execute("BEGIN")  # all from one moment
        rows = connection.execute(
            "SELECT trial_id, number, state FROM trials JOIN studies USING (study_id) WHERE study_name = ?", (NAME,)
        ).fetchall()
        attributes, params = defaultdict[int, dict[str, str]](dict), defaultdict[int, dict[str, float]](dict)
        for identity, key, value in connection.execute("SELECT trial_id, key, value_json FROM trial_user_attributes"):
            attributes[identity][key] = value
        for identity, key, value in connection.execute("SELECT trial_id, param_name, param_value FROM trial_params"):
            params[identity][key] = value
        return {number: Trial(number, state, attributes[key], params[key]) for key, number, state in rows}
    return None


def ended_of(trials: dict[int, Trial] | None) -> dict[int, Trial]:
    """Those with a result."""
    return {number: trial for number, trial in (trials or {}).items() if trial.ended}


@dataclass
class Search:
    """A search that is started again and again with the same command, until it has ended."""

    place: Path  # everything of it lies here
    workers: int
    cache: Path
    size: Size = SHORT
    flags: Sequence[str] = ()
    process: subprocess.Popen[bytes] = field(init=False)
    starts: int = 0
    parents: list[int] = field(default_factory=list)
    seen: dict[int, Trial] = field(default_factory=dict)  # with a result, at any moment

    def __post_init__(self) -> None:
        self.folder = self.place / "run"
        self.scratch = self.place / "t"  # a short path: sockets of the fork server lie in it
        self.log = self.place / "log.txt"
        self.steps = self.place / "steps.txt"  # each training step of each worker; see counted_space.py
        for folder in (self.scratch, self.cache):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def database(self) -> Path:
        """The file of the study."""
        return self.folder / "study.db"

    def environment(self) -> dict[str, str]:
        """Variables that it needs, and its workers."""
        return {
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(self.scratch),
            "XDG_CACHE_HOME": str(self.cache),
            "FAULTS_STEPS": str(self.steps),
            "FAULTS_SECONDS": str(self.size.seconds),
        }

    def start(self) -> None:
        """Start it in a process group of its own."""
        script = str(ROOT / "studies" / "digits.py")
        command = [sys.executable, script, *self.size.flags(), "--space", str(SPACE)]
        command += ["--workers", str(self.workers), "--out", str(self.folder), *self.flags]
        environment = os.environ | self.environment()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env=environment
            )
        self.starts += 1
        self.parents.append(self.process.pid)

    def running(self) -> bool:
        """Whether the process of the last start lives."""
        return self.process.poll() is None

    def wait(self, seconds: float) -> int | None:
        """Its exit code; None where it is still running by then."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def until(self, condition: Callable[[], object], seconds: float = 60.0) -> bool:
        """Wait for the condition; False where the search has ended first, or the time is over."""
        deadline = time.monotonic() + seconds
        while self.running() and time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.03)
        return False

    def look(self) -> None:
        """Take down the trials that have a result now."""
        self.seen |= {n: trial for n, trial in ended_of(read_trials(self.database)).items() if n not in self.seen}

    def count(self) -> int:
        """Trials that have a result now."""
        return len(ended_of(read_trials(self.database)))

    def written(self) -> int:
        """Bytes about training steps so far."""
        return self.steps.stat().st_size if self.steps.is_file() else 0

    def fork_server(self) -> psutil.Process | None:
        """The process that workers are forked from."""
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self.process.pid).children():
                if "forkserver" in " ".join(child.cmdline()):
                    return child
        return None

    def worker_processes(self) -> list[psutil.Process]:
        """The workers that live."""
        server = self.fork_server()
        with contextlib.suppress(psutil.Error):
            return [] if server is None else server.children()
        return []

    def kill_group(self) -> None:
        """End every process of the last start at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def left_processes(self) -> list[int]:
        """Living processes of any start of it, by their session."""
        left = []
        for process in psutil.process_iter(["status"]):
            with contextlib.suppress(ProcessLookupError, psutil.Error):
                if os.getsid(process.pid) in self.parents and process.info["status"] != psutil.STATUS_ZOMBIE:
                    left.append(process.pid)
        return left

    def left_files(self) -> list[str]:
        """Scratch files, checkpoints and shared memory that nobody needs any more.

        Finished runs may keep theirs: a longer search goes on from them.
        """
        trials = ended_of(read_trials(self.database)).values()
        finished = {f"{trial.lineage}.pt" for trial in trials if trial.attributes.get("stopped") == '"finished"'}
        checkpoints = [path for path in self.folder.glob("checkpoints/*") if path.name not in finished]
        found = [*self.folder.rglob("*.tmp"), *checkpoints, *self.scratch.glob("[!.]*")]
        found = [path for path in found if not path.name.startswith("torchinductor_")]  # torch's own cache
        found += self.cache.rglob("*.tmp")
        found += [path for pid in self.parents for path in Path("/dev/shm").glob(f"torch_{pid}_*")]
        return [str(path.relative_to(self.place) if path.is_relative_to(self.place) else path) for path in found]

    def clear(self) -> None:
        """End what is left of it, and remove its files."""
        for pid in self.left_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.place, ignore_errors=True)
