"""One start of a search, from settings to best.yaml."""

import contextlib
import logging
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
import torch

from search import start_weights
from search.checks.corners_apart import check_apart
from search.checks.memory_check import check_memory
from search.choice.constraints import Constraints
from search.choice.race import Race
from search.data import cache, datasets
from search.data.tensors import SearchData, prepare
from search.engine.folder import lock, make_folder
from search.engine.memory import enough_memory
from search.engine.pools import checkpoint_store, make_pool
from search.engine.runner import Runner, SearchFailed
from search.engine.time_limit import TimeLimit
from search.errors import UserError, described
from search.files import remove_leftovers
from search.finals.finals import stored_repeats
from search.finals.write_best import write_best
from search.insight.doubts import beside
from search.insight.imbalance import imbalance
from search.recording.artifacts import settle_artifacts
from search.recording.owner import Owner, claim
from search.recording.start import begin, first_trials
from search.recording.store import Store
from search.recording.trackers import require_packages, tracked
from search.results.schema import StudyAttribute
from search.results.storage import cause_of, close, told
from search.settings import Settings, resolve_devices
from search.show.dashboard import Publisher
from search.show.progress import Observer, Progress
from search.show.summary import summary
from search.show.terminal import make_terminal
from search.show.text import short
from search.spaces import Suggest, imported_beside, suggester
from search.training.linear_baseline import fit_baseline
from search.training.precision import Precision, one_thread
from search.training.trial import Conditions
from search.workers import machine
from search.workers.pool import Pool
from search.workers.ray_cluster import connected

logger = logging.getLogger(__name__)


def run_search(settings: Settings) -> int | None:
    """Run the trials that are missing, choose and export. Returns the signal that ended it early, if one did.

    Raises UserError for input that cannot work, before anything has been trained.
    """
    require_packages(settings)
    limit = TimeLimit(settings.timeout, race=settings.race)
    devices = resolve_devices(settings.device)
    suggest, data = _prepared(settings)
    if settings.check:
        check_memory(settings.space, suggest, data, settings.seed, settings.weights)
    first = first_trials(settings, suggest)
    make_folder(settings.folder)
    url = settings.storage_url
    with (
        connected(settings.ray),
        lock(settings.folder),
        _owned(settings, url) as (store, owner),
        _explained(settings, url, owner),
    ):
        for name in (".", "checkpoints", "losses", "weights"):
            remove_leftovers(settings.folder / name)
        settle_artifacts(settings, store)
        describe_search(settings, data, store)
        begin(store, settings, first)
        _announce(settings, data)
        conditions = _conditions(settings, suggest, data, store, torch.device(devices[0]))
        pool = make_pool(settings, suggest, data, conditions, store, devices)
        with tracked(settings, store) as trackers:
            runner = _runner(settings, suggest, store, pool, limit, owner, trackers)
            with runner.interruption as interruption:
                runner.run()
                if interruption.signal is not None:  # while the database may still be locked
                    _conclude(settings, conditions, data, store, runner, in_haste=True)
                    return interruption.signal
        owner.check()
        _conclude(settings, conditions, data, store, runner, in_haste=False)
        return None


def check(settings: Settings) -> bool:
    """Whether the networks of a space can overfit, see `check_memory`. Nothing is searched.

    Raises UserError for input that cannot work.
    """
    suggest, data = _prepared(settings)
    return check_memory(settings.space, suggest, data, settings.seed, settings.weights)


def _prepared(settings: Settings) -> tuple[Suggest, SearchData]:
    """The space and the images, which fit each other. Raises UserError where they do not."""
    suggest = suggester(settings.space, settings.ranges, settings.weights)
    cache.remove_leftovers()
    with enough_memory("the images"):
        data = load_data(settings)
    start_weights.fetch(settings.space, settings.weights)
    check_apart(settings.space, settings.ranges, data.shape, len(data.classes), settings.weights)
    return suggest, data


@contextlib.contextmanager
def _owned(settings: Settings, url: str) -> Iterator[tuple[Store, Owner]]:
    """The study of a search, which belongs to this process meanwhile."""
    with told(f"cannot open the study {settings.name}", url):
        store = Store(url, settings.name, settings.seed, settings.folder)
        owner = claim(store.study, settings.folder, url)
    try:
        with owner:
            yield store, owner
    finally:
        close(store.study)


@contextlib.contextmanager
def _explained(settings: Settings, url: str, owner: Owner) -> Iterator[None]:
    """Errors that are no fault of the program, as one line. Raises UserError."""
    try:
        yield
    except UserError:
        raise
    except SearchFailed as error:
        raise UserError(f"{error}; mend the space {settings.space} and start anew with another --out") from error
    except Exception as error:
        _require_study(owner)  # the cause of all the rest, if it is gone
        if not isinstance(error, optuna.exceptions.StorageInternalError | OSError):  # a full disk, a lock
            raise
        raise UserError(
            f"the search could not be recorded: {cause_of(error, url)}; mend that and start again, it goes on"
        ) from None  # the driver's own words may hold the password


def _require_study(owner: Owner) -> None:
    """Raises UserError where the study, its database or the run folder is gone."""
    with contextlib.suppress(optuna.exceptions.StorageInternalError):
        owner.check()


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
    sizes = {"train_size": settings.train_size, "val_size": settings.val_size}
    return prepare(source, **sizes, seed=settings.seed, flip=flip, balance=settings.balance)


def describe_search(settings: Settings, data: SearchData, store: Store) -> None:
    """Have the study say what is searched, on what.

    Raises UserError where an earlier start searched something else, or on something else.
    """
    sizes = data.shape[1], len(data.splits.train), len(data.splits.val)
    store.settle(settings.comparable(data.fingerprint, *sizes, data.flip))
    plan = {
        "trials": settings.trials,
        "epochs": settings.epochs,
        "timeout": settings.timeout,
        "race": settings.race,
        "out": str(settings.folder),
        "data_root": str(settings.data_root),
        "elsewhere": settings.storage_elsewhere is not None,
    }
    store.plan(plan)
    described_now = data.description()
    before = store.remember(StudyAttribute.DATA, lambda: described_now)
    if before.get("val_counts", described_now["val_counts"]) != described_now["val_counts"]:
        raise UserError(
            "an earlier release split these images otherwise, so runs cannot be compared; start anew with another --out"
        )
    store.describe(StudyAttribute.DATA, described_now)


def _announce(settings: Settings, data: SearchData) -> None:
    channels, height, width = data.shape
    logger.info(
        f"{len(data.splits.train):,} images to train on, {len(data.splits.val):,} to validate on, "
        f"{len(data.classes)} classes, {height}x{width}x{channels}"
    )
    for line in imbalance(data.description(), settings.balance):
        logger.info(line)
    if beside := imported_beside(settings.space):
        logger.warning(
            f"{settings.space} imports {', '.join(beside)}, which the run folder keeps no copy of: change nothing "
            f"there while the search runs, and take it along with the run folder"
        )


def _conditions(
    settings: Settings, suggest: Suggest, data: SearchData, store: Store, device: torch.device
) -> Conditions:
    """The linear baseline and the number format: measured at the first start, kept for all later ones."""
    if device.type == "cuda":
        torch.cuda.set_device(device)  # what this process computes by itself is computed there
    precision = store.remember(
        StudyAttribute.PRECISION, lambda: asdict(machine.precision(settings.space, suggest, data, device))
    )
    # one, since several take twenty times as long where other programs compute too
    with enough_memory("the linear baseline"), one_thread():
        baseline = store.remember(StudyAttribute.BASELINE, lambda: asdict(fit_baseline(data.to(device))))
    torch.cuda.empty_cache()  # all of it is for the workers
    constraints, rivals = Constraints(baseline["val_loss"], settings.max_gap), store.snapshot().rivals
    logger.info(f"linear baseline: val_loss {constraints.baseline_loss:.4f}; accuracy: {beside(rivals)}")
    elsewhere = checkpoint_store(settings, store)
    return Conditions(constraints, Precision(**precision), settings.folder, store.identity, data.fingerprint, elsewhere)


def _runner(
    settings: Settings,
    suggest: Suggest,
    store: Store,
    pool: Pool[Any],
    limit: TimeLimit,
    owner: Owner,
    observers: Sequence[Observer],
) -> Runner:
    """With a terminal and a dashboard that show what it does. observers: told of its trials too."""
    done, further, runs = store.count(), len(store.queued_further()), store.snapshot().runs
    workers = min(pool.most, settings.trials - done + further)
    progress = Progress(
        settings.trials,
        settings.epochs,
        workers,
        done=done,
        further=further,
        runs=runs,
        race_share=Race.share if settings.race else 0.0,
        most_seconds=limit.left(),
        observers=observers,
    )
    publisher = Publisher(store.study, settings.folder, pool.conditions.constraints, settings.epochs)
    return Runner(settings, store, pool, suggest, make_terminal(progress), publisher, limit, owner.beat)


def _conclude(
    settings: Settings, conditions: Conditions, data: SearchData, store: Store, runner: Runner, *, in_haste: bool
) -> None:
    """Choose, export, and tell. in_haste: somebody has ended the search and does not wait for a report."""
    choice = runner.conclude()
    snapshot = store.snapshot()
    if choice is not None:
        number = choice.run.number
        repeats = [one for one in stored_repeats(store.study.user_attrs) if one.trial == number and not one.failed]
        try:
            write_best(
                settings, conditions, data, choice, snapshot, store.recorded_seed(number), repeats, in_haste=in_haste
            )
        except OSError as error:
            raise UserError(
                f"cannot write best.yaml to {settings.folder}: {error.strerror}; mend that and start again, "
                f"no trial is trained anew"
            ) from error
    runner.publish()
    logger.info(summary(snapshot, settings.folder, settings.storage_elsewhere))
    logger.info(f"report: {_report_command(settings.folder) if in_haste else _report(settings.folder, store)}")
    if stand := _cut_short(settings, store.count(), runner):
        logger.info(stand)


def _cut_short(settings: Settings, done: int, runner: Runner) -> str | None:
    """What ended a start early, where it stands, and how to go on; None where everything is done."""
    if done >= settings.trials and runner.raced:
        return None
    by_hand = runner.interruption.signal is not None
    cause = "interrupted" if by_hand else f"the time is over (--timeout {short(settings.timeout)})"
    race = "" if runner.raced else ", the race has not"
    return f"{cause}: {done} of {settings.trials} trials have ended{race}; the same command again goes on from there"


def _report(folder: Path, store: Store) -> str:
    """Write the report; says where it is, or why it is not: all that matters is written by now."""
    from search.show.report import write_report  # plotly takes a second to import

    try:
        return str(write_report(folder, store.snapshot()))
    except Exception as error:
        return f"not written, {described(error)}; try {_report_command(folder)}"


def _report_command(folder: Path) -> str:
    return f"gapsearch report {shlex.quote(str(folder))}"
