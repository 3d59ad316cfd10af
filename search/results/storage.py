"""What a search has found, read from its run folder: while it runs, and once it has ended.

Without torch, which takes seconds to import.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
import sqlalchemy

from search.errors import UserError

if TYPE_CHECKING:
    pass


BUSY_SECONDS = 20  # for another process to let go of an SQLite database


@contextlib.contextmanager
def opened(url: str, name: str | None) -> Iterator[optuna.Study]:
    """The study of that name, or the only one, in a database that exists. Raises UserError."""
    with database(url) as storage:
        yield optuna.load_study(study_name=_study_name(storage, name), storage=storage)


@contextlib.contextmanager
def database(url: str) -> Iterator[optuna.storages.RDBStorage]:
    """A database that exists: SQLite would make one where there is none. Raises UserError where it cannot be read."""
    try:
        place = sqlalchemy.engine.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        raise UserError("--storage is no database URL; write for example sqlite:///runs/digits/study.db") from None
    sqlite = place.get_backend_name() == "sqlite"
    if sqlite and not Path(place.database or "").is_file():
        raise UserError(f"there is no {place.database}; name the folder of a search, or its database with --storage")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    options = {"connect_args": {"timeout": BUSY_SECONDS}} if sqlite else {}
    try:
        storage = optuna.storages.RDBStorage(url, engine_kwargs=options, skip_table_creation=True)
        yield storage
        storage.remove_session()
        storage.engine.dispose()
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, optuna.exceptions.OptunaError, RuntimeError) as error:
        cause = str(getattr(error.__cause__ or error, "orig", None) or error).splitlines()[0]
        raise UserError(f"cannot read {place.render_as_string(hide_password=True)}: {cause}") from error


def database_url(folder: Path, storage: str | None) -> str:
    """Where the study of a run folder is kept. Raises UserError where there is no such folder."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; name a run folder such as runs/digits")
    return storage or f"sqlite:///{folder / 'study.db'}"


def _study_name(storage: optuna.storages.RDBStorage, name: str | None) -> str:
    names = optuna.get_all_study_names(storage)
    if name in names or (name is None and len(names) == 1):
        return name or names[0]
    held = f"{len(names)} studies: {', '.join(names)}" if names else "no study"
    raise UserError(f"the database holds {held}" + "; name one with --study" * bool(names))
