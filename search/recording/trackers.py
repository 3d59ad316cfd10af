"""Which trackers a search is copied to, and from when to when."""

import contextlib
import functools
from collections.abc import Iterator

from search.recording.store import Store
from search.settings import Settings
from search.tracking import mlflow
from search.tracking.mlflow import Runs
from search.tracking.tensorboard import EventFiles
from search.tracking.tracker import Tracker, require_package


def require_packages(settings: Settings) -> None:
    """Raises UserError where what a search is to be copied to is not installed."""
    if settings.tensorboard:
        require_package("--tensorboard", "tensorboard", "tensorboard")
    if settings.mlflow is not None:
        require_package("--mlflow", "mlflow", "mlflow")


@contextlib.contextmanager
def tracked(settings: Settings, store: Store) -> Iterator[list[Tracker]]:
    """Those that were asked for, brought to where the study is; they are closed at the end."""
    snapshot, trackers = store.snapshot(), list[Tracker]()
    if settings.tensorboard:
        trackers.append(Tracker("--tensorboard", EventFiles(settings.folder / "tensorboard")))
    if settings.mlflow is not None:
        runs = Runs(settings.mlflow, settings.name, store.identity, snapshot.settings)
        trackers.append(Tracker("--mlflow", runs, functools.partial(mlflow.scrubbed, uri=settings.mlflow)))
    for tracker in trackers:
        tracker.begin(snapshot.ended)
    try:
        yield trackers
    finally:
        for tracker in trackers:
            tracker.close()
