"""The database of a study: opened to search or to read, its errors told in one line."""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.trial import TrialState

from search.errors import UserError
from search.results.database import EXAMPLE, FILE, is_sqlite, scrubbed, shown, sqlite_file, study_url
from search.results.gathering import GatheringStorage
from search.results.patience import Patience, is_busy
from search.results.schema import StudyAttribute, check_schema
from search.results.server import CONNECT_SECONDS, ServerStorage

WRITER_SECONDS = 3600.0  # for another process to let go of an SQLite database, and for a server to come back
READER_SECONDS = 20.0
LOG_PAGES = 256  # 1 MB; at SQLite's own 1,000 the log outgrows a small database twentyfold, and fills small disks
ERRORS = (
    sqlalchemy.exc.SQLAlchemyError,
    ImportError,
    optuna.exceptions.OptunaError,
    RuntimeError,
    json.JSONDecodeError,  # of an attribute that is damaged
)
REMEDY = "give a reachable database with --storage, or leave it out"


def create_study(url: str, name: str, patience: Patience | None = None, folder: Path | None = None) -> optuna.Study:
    """The study of a search with its two objectives, made where it is missing.

    patience: of all that is read and written later on; by default an hour. folder: the run folder, where files are
    written.

    Raises UserError where the database cannot be opened, another version has recorded the study, or another study has
    its files in the run folder.
    """
    place = sqlalchemy.engine.make_url(url)
    patience = patience or Patience(shown(place), WRITER_SECONDS)
    with told(f"cannot open the storage {shown(place)}", url, REMEDY):
        storage = _create_storage(url, patience)
        if folder is not None:
            _require_alone(storage, url, name, folder)
        if is_sqlite(place):
            _write_ahead(storage.engine)
        directions = [optuna.study.StudyDirection.MINIMIZE] * 2
        study = optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)
        if study.directions != directions or (not study.user_attrs and _has_run(study)):
            raise UserError(
                f"the study {name} in {shown(place)} is of another program; take another database, or another name "
                f"by Search(name=...)"
            )
        check_schema(study)
    return study


def _require_alone(storage: optuna.storages.RDBStorage, url: str, name: str, folder: Path) -> None:
    """Raise UserError where a study of another name, or of another database, has its files in the run folder.

    Weights are named by trial, so the two would delete each other's.
    """
    own, database = folder / FILE, sqlite_file(url)
    inside = database is not None and database.resolve() == own.resolve()
    if not inside and own.exists():
        raise UserError(f"{folder} holds a search in its own {FILE}; leave --storage out, or give another --out")
    for other in storage.get_all_studies():
        here = inside or other.user_attrs.get(StudyAttribute.FOLDER) == str(folder.resolve())
        if here and other.study_name != name and storage.get_n_trials(other._study_id):
            known = other.study_name
            raise UserError(f"{folder} holds the search {known}; go on with --name {known}, or give another --out")


def _has_run(study: optuna.Study) -> bool:
    """Whether it holds more than what somebody has queued."""
    return any(trial.state != TrialState.WAITING for trial in study.get_trials(deepcopy=False))


@contextlib.contextmanager
def open_study(url: str, name: str | None) -> Iterator[optuna.Study]:
    """The study of that name, or the only one, in a database that exists. Raises UserError."""
    with open_storage(url) as storage:
        study = optuna.load_study(study_name=_study_name(storage, name), storage=storage)
        check_schema(study)
        yield study


@contextlib.contextmanager
def open_storage(url: str) -> Iterator[optuna.storages.RDBStorage]:
    """A database that exists: SQLite would make one where there is none. Raises UserError where it cannot be read."""
    place = sqlalchemy.engine.make_url(url)
    if is_sqlite(place) and not os.path.isfile(place.database or ""):
        raise UserError(f"there is no {place.database}; name the folder of a search, or its database with --storage")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with told(f"cannot read {shown(place)}", url):
        pings = {} if is_sqlite(place) else {"pool_pre_ping": True}  # a server may be restarted meanwhile
        storage = _connect(url, pings | _options(place, Patience(shown(place), READER_SECONDS)))
        yield storage
        _let_go(storage)


def close(study: optuna.Study) -> None:
    """Let go of its database, as far as this process has it open: so an SQLite file is whole by itself."""
    storage: Any = study._storage  # Optuna's cache of the one that `create_study` has made
    _let_go(storage._backend)
    file = sqlite_file(storage._backend.url)
    if file is not None and file.is_file():
        _leave_write_ahead(file)


def _let_go(storage: optuna.storages.RDBStorage) -> None:
    storage.remove_session()
    storage.engine.dispose()


def storage_url(folder: Path, storage: str | None) -> str:
    """Where the study of a run folder is kept. Raises UserError where there is no such folder."""
    if not os.path.isdir(folder):
        raise UserError(f"there is no folder {folder}; name a run folder such as runs/digits")
    return study_url(folder, storage)


@contextlib.contextmanager
def told(problem: str, url: str, remedy: str | None = None) -> Iterator[None]:
    """Errors of the database as one line, without its password."""
    try:
        yield
    except UserError:
        raise
    except ERRORS as error:
        cause, hint = cause_of(error, url), f"; {remedy}" if remedy else ""
        if isinstance(error, ImportError) and "psycopg" in cause:
            hint = "; pip install 'gapsearch[postgres]'"
        if "readonly database" in cause:  # a search that was killed leaves SQLite's log, which readers write to
            hint = "; copy its folder to where you may write"
        if is_locked(error):
            cause, hint = "another process holds it all the time", "; end that one and start again"
        raise UserError(f"{problem}: {cause}{hint}") from None  # the driver's own words may hold the password


def cause_of(error: BaseException, url: str) -> str:
    """One line from deep inside: what Optuna and SQLAlchemy say themselves does not help."""
    text = str(getattr(error.__cause__ or error, "orig", None) or error.__cause__ or error)
    return scrubbed((text.splitlines() or [type(error).__name__])[0], sqlalchemy.engine.make_url(url))


def is_locked(error: BaseException) -> bool:
    """Whether another process has held an SQLite database for too long."""
    return is_busy(getattr(error.__cause__ or error, "orig", None))


def _options(place: sqlalchemy.engine.URL, patience: Patience) -> dict[str, Any]:
    """Of the engine: how to wait for a lock, or for a server to answer."""
    if is_sqlite(place):
        return {"connect_args": patience.connect_args()}
    if place.get_backend_name() != "postgresql" or "connect_timeout" in place.query:
        return {}
    return {"connect_args": {"connect_timeout": CONNECT_SECONDS}}


def _create_storage(url: str, patience: Patience) -> optuna.storages.RDBStorage:
    """Tried twice: where a dashboard makes the tables of a new database at the same moment, one of the two fails."""
    try:
        return _connect(url, _options(sqlalchemy.engine.make_url(url), patience), patience)
    except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.OperationalError) as error:
        if is_locked(error):
            raise
        time.sleep(1)
        return _connect(url, _options(sqlalchemy.engine.make_url(url), patience), patience)


def _connect(url: str, options: dict[str, Any], patience: Patience | None = None) -> optuna.storages.RDBStorage:
    """To read; with `patience` to write: tables are made then, and a server that is away is waited for.

    Raises UserError where the URL's query holds what its driver does not take.
    """
    place = sqlalchemy.engine.make_url(url)
    try:
        if patience is None:
            return optuna.storages.RDBStorage(url, engine_kwargs=options, skip_table_creation=True)
        if is_sqlite(place):
            return GatheringStorage(url, engine_kwargs=options)
        return ServerStorage(url, patience.place, patience.seconds, engine_kwargs=options)
    except (TypeError, ValueError) as error:
        raise UserError(f"--storage {shown(place)} cannot be used: {cause_of(error, url)}; {EXAMPLE}") from None


def _write_ahead(engine: sqlalchemy.Engine) -> None:
    """Let the dashboard read while the search writes, and commit without waiting for the disk."""

    @sqlalchemy.event.listens_for(engine, "connect")
    def configure(connection: Any, record: object) -> None:  # noqa: ANN401
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")

    engine.dispose()  # the connections opened so far have not been configured


def _leave_write_ahead(file: Path) -> None:
    """Let those read it who may not write to its folder. It stays as it is where another process has it open."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(file, timeout=0)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def _study_name(storage: optuna.storages.RDBStorage, name: str | None) -> str:
    names = optuna.get_all_study_names(storage)
    if name in names or (name is None and len(names) == 1):
        return name or names[0]
    if not names:
        raise UserError("the database holds no study")
    if name is not None:
        raise UserError(f"the database holds no study {name}, but {', '.join(names)}")
    raise UserError(f"the database holds {len(names)} studies: {', '.join(names)}; name one with --study")
