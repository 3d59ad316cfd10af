"""One start of a search, from settings to best.yaml."""

import math
import shlex
import time
from dataclasses import asdict
from pathlib import Path

import filelock
import joblib
import optuna
import torch

from search import export
from search.choice.choose import Choice
from search.choice.constraints import Terms
from search.data import datasets
from search.data.tensors import SearchData, prepare
from search.engine import machine
from search.engine.corners import check_corners
from search.engine.runner import Runner, SearchFailed
from search.engine.store import Store
from search.engine.workers import WorkerPool, place_workers
from search.errors import UserError, described
from search.results.snapshot import read_story
from search.results.trial_result import complete_runs
from search.settings import Settings, resolve_devices
from search.show.dashboard import Publisher
from search.show.progress import Tally
from search.show.summary import summary
from search.show.terminal import make_progress
from search.spaces import Suggest, keep, portable, suggester
from search.training.checkpoint import load_weights
from search.training.linear_baseline import fit_baseline
from search.training.precision import Precision, one_thread
from search.training.trial import Conditions


def run_search(settings: Settings) -> int | None:
    """Run the trials that are missing, choose and export. Returns the signal that ended it early, if one did.

    Raises UserError for input that cannot work, before anything has been trained.
    """
    deadline = time.monotonic() + (settings.timeout or math.inf)
    devices = resolve_devices(settings.device)
    suggest = suggester(settings.space, settings.ranges)
    data = load_data(settings)
    check_corners(settings.space, suggest, data.shape, len(data.classes))
    make_folder(settings.folder)
    with _lock(settings.folder):
        store = Store(settings.storage_url, settings.name, settings.seed)
        sizes = data.shape[1], len(data.splits.train), len(data.splits.val)
        store.settle(settings.comparable(data.fingerprint, *sizes, data.flip))
        store.describe("plan", {"trials": settings.trials, "epochs": settings.epochs, "out": str(settings.folder)})
        store.describe("data", data.description())
        return _run(settings, devices, suggest, data, store, deadline)


def load_data(settings: Settings) -> SearchData:
    """The images to search on, split."""
    source = datasets.load(
        settings.dataset,
        "train",
        Path(settings.data_root),
        image_size=settings.image_size,
        skip_bad_images=settings.skip_bad_images,
    )
    flip = datasets.SOURCES[settings.dataset].flip if settings.flip is None else settings.flip
    return prepare(source, train_size=settings.train_size, val_size=settings.val_size, seed=settings.seed, flip=flip)


def make_folder(folder: Path) -> None:
    """Make the run folder. Raises UserError where it cannot be written."""
    try:
        for name in (".", "artifacts", "checkpoints", "weights"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / ".lock").touch()
    except OSError as error:
        raise UserError(f"cannot write to --out {folder}: {error.strerror}; name another folder") from error


def _lock(folder: Path) -> filelock.AcquireReturnProxy:
    lock = filelock.FileLock(folder / ".lock")
    try:
        return lock.acquire(timeout=0)
    except filelock.Timeout:
        raise UserError(
            f"another search is running in {folder}; wait for it, or name another folder with --out"
        ) from None


def _run(
    settings: Settings, devices: list[str], suggest: Suggest, data: SearchData, store: Store, deadline: float
) -> int | None:
    channels, height, width = data.shape
    print(
        f"{len(data.splits.train):,} images to train on, {len(data.splits.val):,} to validate on, "
        f"{len(data.classes)} classes, {height}x{width}x{channels}",
        flush=True,
    )
    conditions = _conditions(settings, suggest, data, store, torch.device(devices[0]))
    print(f"linear baseline: val_loss {conditions.terms.baseline_loss:.4f}", flush=True)
    interrupted, done = store.requeue_interrupted(), store.count()
    missing = max(settings.trials - done, 0)
    packed = 1
    if settings.workers is None and devices[0].startswith("cuda") and missing > len(devices):
        packed = machine.workers_per_gpu(settings.space, suggest, data, conditions.precision, devices)
    places = place_workers(settings.workers, devices, joblib.cpu_count(), packed=packed)
    print(
        f"{missing} trials of at most {settings.epochs} epochs on {len(places)} worker{'s' * (len(places) > 1)} "
        f"({', '.join(dict.fromkeys(places))}; {conditions.precision})"
        + (f"; {done} done before" if done else "")
        + (f"; {interrupted} interrupted ones queued again" if interrupted else ""),
        flush=True,
    )
    pool = WorkerPool(places[: max(missing, 1)], keep(settings.space, settings.folder), data, conditions)
    tally = Tally(
        settings.trials, settings.epochs, min(len(places), missing), done=done, runs=complete_runs(store.study)
    )
    progress = make_progress(tally)
    publisher = Publisher(store.study, settings.folder, conditions.terms, settings.epochs, progress.note)
    runner = Runner(settings, store, pool, suggest, progress, publisher, deadline)
    try:
        signal = runner.run()
    except SearchFailed as error:
        raise UserError(f"{error}; mend the space {settings.space} and start anew with another --out") from error
    except (optuna.exceptions.StorageInternalError, OSError) as error:  # a full disk, a database that went away
        cause = str(error.__cause__ or error).splitlines()[0]
        raise UserError(f"the search could not be recorded: {cause}; mend that and start again, it goes on") from error
    choice = runner.choice()
    if choice is not None:
        _export(settings, conditions, data, store, choice)
    publisher.close()
    print(summary(settings, store.study, runner.runs, choice, conditions.terms), flush=True)
    print("report: ", end="", flush=True)  # which takes seconds where there are many trials
    print(_report(settings, store) if signal is None else _report_command(settings), flush=True)
    return signal


def _report(settings: Settings, store: Store) -> str:
    """Write the report; says where it is, or why it is not: all that matters is written by now."""
    try:
        from search.show import report  # plotly takes a second to import

        return str(report.write(settings.folder, read_story(store.study)))
    except Exception as error:
        return f"not written, {described(error)}; try {_report_command(settings)}"


def _report_command(settings: Settings) -> str:
    """For whoever has ended a search and does not wait."""
    return f"python -m search report {shlex.quote(str(settings.folder))}"


def _conditions(
    settings: Settings, suggest: Suggest, data: SearchData, store: Store, device: torch.device
) -> Conditions:
    """The linear baseline and the number format: measured at the first start, kept for all later ones."""
    precision = store.remember("precision", lambda: asdict(machine.precision(settings.space, suggest, data, device)))
    with one_thread():  # where other programs compute too, several take twenty times as long
        baseline = store.remember("baseline", lambda: asdict(fit_baseline(data.to(device))))
    terms = Terms(baseline["val_loss"], settings.max_gap)
    return Conditions(terms, Precision(**precision), settings.folder)


def _export(settings: Settings, conditions: Conditions, data: SearchData, store: Store, choice: Choice) -> None:
    attributes = store.attributes(choice.run.number)
    export.write(
        settings.folder,
        study=settings.name,
        choice=choice,
        trial=attributes,
        seed=store.trial_seed(attributes["lineage"]),
        space=portable(settings.space),
        terms=conditions.terms,
        data=data,
        seed_of_splits=settings.seed,
        precision=conditions.precision,
        weights=load_weights(conditions.weights(choice.run.number))[0],
    )
