"""One search with faults from start to end, and what is found then."""

import contextlib
import random
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studies.benchmarks.faults.kinds import KINDS, Kind, small_disk
from studies.benchmarks.faults.repeated import of_the_race, read_steps, repeated
from studies.benchmarks.faults.searches import IMAGES, LONG, Search, Size, Trial, ended_of, read_trials

MOST_STARTS = 4  # after the last fault; one that needs more needs a person
END_SECONDS = 30.0  # for a search to end once it is told to; then it counts as one that hangs
WHOLE_SECONDS = 240.0  # for a start to come to its end
CLEAN_SECONDS = 10.0  # for processes and files to go
MOST_EPOCHS, MOST_SECONDS = 1.0, 15.0  # that an interruption may cost: either of the two


Outcomes = list[tuple[Any, ...]]  # what became of each configuration of a search, in the order of drawing


@dataclass
class Found:
    """What came of one search; each count but the first two should be 0."""

    kind: str
    seed: int
    faults: int = 0
    restarts: int = 0
    lost: int = 0  # finished trials that are gone or changed
    running: int = 0  # trials left RUNNING
    duplicates: int = 0  # configurations that were trained to their end twice
    missing: int = 0  # configurations that were never trained to their end
    errors: int = 0  # trials recorded as `error` or `hung`
    ended: int = 0  # searches that ended though they could have gone on
    hangs: int = 0  # searches that did not end within the time
    refused: int = 0  # restarts that ended with an error
    tracebacks: int = 0
    processes: int = 0  # alive 10 s after the end
    files: int = 0  # scratch files left then
    differs: int = 0  # results that are not those of the undisturbed search; with one worker
    compared: int = 0  # searches with one worker that were compared
    resumed: int = 0  # trainings that were taken up again
    raced_again: int = 0  # of them, those of the race, which leave no checkpoints
    epochs_again: float = 0.0  # trained twice
    seconds_again: float = 0.0  # of training, for one interruption of a trial at most
    costly: int = 0  # interruptions that cost more than an epoch and more than 15 s
    skipped: str = ""  # why it was not run
    notes: list[str] = field(default_factory=list)

    BAD = (
        *("lost", "running", "duplicates", "missing", "errors", "ended", "hangs", "refused", "tracebacks"),
        *("processes", "files", "differs", "costly"),
    )

    @property
    def bad(self) -> bool:
        """Whether any check failed."""
        return any(getattr(self, name) for name in self.BAD)


def undisturbed(size: Size, place: Path, cache: Path) -> Outcomes:
    """What a search with one worker comes to that is left alone; fills the image cache too."""
    search = Search(place, 1, cache, size)
    search.start()
    code = search.wait(WHOLE_SECONDS)
    trials = ended_of(read_trials(search.database))
    if code != 0:
        raise SystemExit(f"the undisturbed search ended with {code}:\n{search.log.read_text()}")
    search.clear()
    return outcomes(trials)


def outcomes(trials: Mapping[int, Trial]) -> Outcomes:
    """In the order of drawing."""
    return sorted(trial.outcome() for trial in trials.values())


def search_with_faults(name: str, seed: int, place: Path, cache: Path, expected: Outcomes) -> Found:
    """Run one search with faults of one kind, until it ends by itself; everything is a function of the seed.

    cache: filled. expected: what the undisturbed search of that size came to, with the same cache: what is measured on
    a machine, which number format is faster, is kept there.
    """
    kind, found, rng = KINDS[name], Found(name, seed), random.Random(f"{name} {seed}")
    workers = kind.workers or rng.choice((1, 2))
    search = Search(
        place, workers, _without_images(cache, place / "cache") if kind.early else cache, kind.size, kind.flags
    )
    with contextlib.ExitStack() as stack:
        stack.callback(search.clear)
        if kind.disk is not None:
            where = search.folder / "weights" if name.endswith("weights") else search.folder
            try:
                stack.enter_context(small_disk(where, kind.disk))
            except OSError as error:
                found.skipped = f"no small disk may be mounted: {error}"
                return found
        _strike(kind, search, rng, found)
        _finish(search, found)
        check(search, found, expected)
        if found.bad:
            found.notes.append(_last_lines(search))
    return found


def _without_images(cache: Path, copy: Path) -> Path:
    """A cache with what was measured alone."""
    for path in cache.rglob("*.json"):
        if path.name != "meta.json":  # of images
            target = copy / path.relative_to(cache)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    return copy


def _strike(kind: Kind, search: Search, rng: random.Random, found: Found) -> None:
    """The faults, each at a random moment of a search that is running."""
    search.start()
    for fault in range(kind.faults):
        if not search.running() and search.process.returncode == 0:
            break  # it was faster
        fresh = fault == 0 or not search.running()
        if not search.running():
            _start_again(search, found)
        _wait_for_a_moment(kind, search, rng, fresh)
        if not search.running():
            break
        search.look()
        kind.strike(search, rng)
        found.faults += 1
        if kind.ends and kind.disk is None and search.wait(END_SECONDS) is None:
            found.hangs += 1
            found.notes.append(f"still running {END_SECONDS:.0f} s after the fault")
            search.kill_group()
            search.wait(END_SECONDS)
        if kind.begins_anew:
            search.seen.clear()
            search.steps.unlink(missing_ok=True)
        else:
            search.look()
        if not search.running() and search.process.returncode != 0 and not kind.ends:
            found.ended += 1
            found.notes.append(f"ended with {search.process.returncode} after the fault")


def _wait_for_a_moment(kind: Kind, search: Search, rng: random.Random, fresh: bool) -> None:
    """Some moments are in the first seconds of a start, most while trials run.

    A trial has ended since the fault before, in the same start: nobody hits the same one until it is given up.
    """
    written = search.written()
    if kind.size == LONG:
        search.until(lambda: search.written() > written)
        search.until(lambda: False, rng.uniform(0.0, 45.0))
    elif kind.early and rng.random() < 0.6:
        search.until(lambda: any(search.cache.rglob("*.tmp")), 8.0)
    elif kind.early or (fresh and rng.random() < 0.25):
        search.until(lambda: False, rng.uniform(0.2, 6.0))
    else:
        count = search.count()
        wanted = min(count + rng.randint(1, 4), max(count + 1, search.size.trials - 1))
        search.until(lambda: search.count() >= wanted)
        if rng.random() < 0.5:
            written = search.written()
            search.until(lambda: search.written() > written)  # the next trial is in training
        else:
            search.until(lambda: False, rng.uniform(0.0, 0.3))


def _start_again(search: Search, found: Found) -> None:
    search.start()
    found.restarts += 1


def _finish(search: Search, found: Found) -> None:
    """Start it again until it ends by itself."""
    afterwards = 0
    while True:
        code = search.wait(WHOLE_SECONDS)
        if code == 0:
            return
        if code is None:
            found.hangs += 1
            found.notes.append(f"still running after {WHOLE_SECONDS:.0f} s")
            search.kill_group()
            search.wait(END_SECONDS)
        elif afterwards or (search.starts > 1 and found.restarts and not KINDS[found.kind].ends):
            found.refused += 1
            found.notes.append(f"a restart ended with {code}")
        elif not KINDS[found.kind].ends and not found.ended:
            found.ended += 1
            found.notes.append(f"ended with {code} after the fault")
        if afterwards == MOST_STARTS:
            return
        afterwards += 1
        _start_again(search, found)


def check(search: Search, found: Found, expected: Outcomes) -> None:
    """Look at the study, the processes and the files of a search that has ended."""
    trials = read_trials(search.database, seconds=10.0) or {}
    ended = ended_of(trials)
    changed = [n for n, trial in search.seen.items() if trials.get(n) != trial]
    found.lost = len(changed)
    found.running = sum(trial.state == "RUNNING" for trial in trials.values())
    lineages = Counter(trial.lineage for trial in ended.values())
    found.duplicates = sum(lineages.values()) - len(lineages)
    found.missing = len(set(range(search.size.trials)) - lineages.keys())
    bad = [trial for trial in ended.values() if trial.attributes.get("stopped") in ('"error"', '"hung"')]
    found.errors = len(bad)
    found.notes += [f"trial {trial.number}: {trial.attributes.get('reason')}" for trial in bad]
    if search.workers == 1:
        found.compared = 1
        found.differs = len(set(expected) - set(outcomes(ended)))
    _count_again(search, found)
    said = search.log.read_text(errors="replace")
    found.tracebacks = said.count("Traceback (most recent call last)")
    deadline = time.monotonic() + CLEAN_SECONDS
    while (search.left_processes() or search.left_files()) and time.monotonic() < deadline:
        time.sleep(0.2)
    processes, files = search.left_processes(), search.left_files()
    found.processes, found.files = len(processes), len(files)
    found.notes += [f"left: {', '.join(files)}"] if files else []


def _count_again(search: Search, found: Found) -> None:
    steps = read_steps(search.steps)
    race = of_the_race(steps)
    for cost in repeated(steps):
        epochs = cost.images / IMAGES
        found.resumed += 1
        found.epochs_again += epochs
        if cost.training in race:
            found.raced_again += 1
            continue
        found.seconds_again = max(found.seconds_again, cost.seconds)
        if epochs > MOST_EPOCHS and cost.seconds > MOST_SECONDS:
            found.costly += 1
            found.notes.append(f"{epochs:.1f} epochs, {cost.seconds:.1f} s trained twice")


def _last_lines(search: Search) -> str:
    lines = search.log.read_text(errors="replace").splitlines()
    wanted = [line for line in lines if not line.startswith(("[ ", "[1", "digits:"))]
    return "\n".join(wanted[-40:])
