"""The database of a study: opened to search or to read, its errors told in one line."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy

from search.errors import UserError
from search.results.schema import check_schema

WRITER_SECONDS = 60  # for another process to let go of an SQLite database
READER_SECONDS = 20
ERRORS = (sqlalchemy.exc.SQLAlchemyError, ImportError, optuna.exceptions.OptunaError, RuntimeError)


def create_study(url: str, name: str) -> optuna.Study:
    """The study of a search with its two objectives, made where it is missing.

    Raises UserError where the database cannot be opened, or another version has recorded the study.
    """
    place = _parse(url)
    with _told(f"cannot open the storage {_shown(place)}", "give a reachable database with --storage, or leave it out"):
        storage = _create_storage(url, _options(place, WRITER_SECONDS))
        if _is_sqlite(place):
            _write_ahead(storage.engine)
        study = optuna.create_study(
            storage=storage, study_name=name, directions=["minimize", "minimize"], load_if_exists=True
        )
    check_schema(study)
    return study


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
    place = _parse(url)
    if _is_sqlite(place) and not Path(place.database or "").is_file():
        raise UserError(f"there is no {place.database}; name the folder of a search, or its database with --storage")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _told(f"cannot read {_shown(place)}"):
        options = _options(place, READER_SECONDS)
        storage = optuna.storages.RDBStorage(url, engine_kwargs=options, skip_table_creation=True)
        yield storage
        storage.remove_session()
        storage.engine.dispose()


def storage_url(folder: Path, storage: str | None) -> str:
    """Where the study of a run folder is kept. Raises UserError where there is no such folder."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; name a run folder such as runs/digits")
    return storage or default_storage_url(folder)


def default_storage_url(folder: Path) -> str:
    """The SQLite database inside a run folder."""
    return f"sqlite:///{folder / 'study.db'}"


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    return _shown(_parse(url))


def _parse(url: str) -> sqlalchemy.engine.URL:
    try:
        return sqlalchemy.engine.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        raise UserError("--storage is no database URL; write for example sqlite:///runs/digits/study.db") from None


def _is_sqlite(place: sqlalchemy.engine.URL) -> bool:
    return place.get_backend_name() == "sqlite"


def _options(place: sqlalchemy.engine.URL, seconds: int) -> dict[str, Any]:
    """Of the engine: how long to wait for a lock."""
    return {"connect_args": {"timeout": seconds}} if _is_sqlite(place) else {}


def _shown(place: sqlalchemy.engine.URL) -> str:
    return place.render_as_string(hide_password=True)


@contextlib.contextmanager
def _told(problem: str, remedy: str | None = None) -> Iterator[None]:
    """Errors of the database as one line."""
    try:
        yield
    except ERRORS as error:
        cause = str(getattr(error.__cause__ or error, "orig", None) or error).splitlines()[0]
        raise UserError(f"{problem}: {cause}{f'; {remedy}' if remedy else ''}") from error


def _create_storage(url: str, options: dict[str, Any]) -> optuna.storages.RDBStorage:
    """Tried twice: where a dashboard makes the tables of a new database at the same moment, one of the two fails."""
    try:
        return optuna.storages.RDBStorage(url, engine_kwargs=options)
    except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.OperationalError):
        time.sleep(1)
        return optuna.storages.RDBStorage(url, engine_kwargs=options)


def _write_ahead(engine: sqlalchemy.Engine) -> None:
    """Let the dashboard read while the search writes, and commit without waiting for the disk."""

    @sqlalchemy.event.listens_for(engine, "connect")
    def configure(connection: Any, record: object) -> None:  # noqa: ANN401
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    engine.dispose()  # the connections opened so far have not been configured


def _study_name(storage: optuna.storages.RDBStorage, name: str | None) -> str:
    names = optuna.get_all_study_names(storage)
    if name in names or (name is None and len(names) == 1):
        return name or names[0]
    if not names:
        raise UserError("the database holds no study")
    raise UserError(f"the database holds {len(names)} studies: {', '.join(names)}; name one with --study")
