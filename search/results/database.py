"""The URL of a study's database: which one is meant, and what of it may be shown."""

import os
import re
from pathlib import Path
from urllib.parse import quote, quote_plus

import sqlalchemy

from search.errors import UserError

VARIABLE = "GAPSEARCH_STORAGE"  # names a database as --storage does, and does not show in a list of processes
EXAMPLE = "write for example sqlite:///runs/digits/study.db"
FILE = "study.db"  # in a run folder
HIDDEN = "***"


def study_url(folder: Path, storage: str | None) -> str:
    """The database of a run folder's study: `storage`, or what the variable names, or else study.db in the folder.

    Raises UserError where that is no URL of a database.
    """
    if storage is None and not os.environ.get(VARIABLE):
        return default_storage_url(folder)
    return _text(parse(storage))


def default_storage_url(folder: Path) -> str:
    """The SQLite database inside a run folder. Raises UserError where the folder's name is no text."""
    try:
        return _text(sqlalchemy.engine.URL.create("sqlite", database=str(folder / FILE)))
    except UnicodeEncodeError:
        raise UserError(f"the name of the run folder {folder} is no UTF-8; name another one") from None


def parse(storage: str | None) -> sqlalchemy.engine.URL:
    """`storage`, or else what the variable names. Raises UserError where that is no URL of a database."""
    source, url = ("--storage", storage) if storage is not None else (VARIABLE, os.environ[VARIABLE])
    try:
        return sqlalchemy.engine.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # whose messages may repeat the URL
        raise UserError(f"{source} is no database URL; {EXAMPLE}") from None


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite database; None for any other, and for one in memory."""
    place = sqlalchemy.engine.make_url(url)
    return Path(place.database) if is_sqlite(place) and place.database else None


def is_sqlite(place: sqlalchemy.engine.URL) -> bool:
    """Whether it is a file that SQLite reads and writes."""
    return place.get_backend_name() == "sqlite"


def shown(place: sqlalchemy.engine.URL) -> str:
    """The URL as it may be shown: a password may stand in the query too, under any name."""
    text = place.set(query={}).render_as_string(hide_password=True)
    return f"{text}?{HIDDEN}" if place.query else text


def may_be_shown(url: str) -> bool:
    """Whether nothing in it has to be hidden."""
    place = sqlalchemy.engine.make_url(url)
    return place.password is None and not place.query


def scrubbed(text: str, place: sqlalchemy.engine.URL) -> str:
    """`text`, perhaps a driver's, without the password and without what the URL's query says."""
    for secret in sorted(_secrets(place), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _secrets(place: sqlalchemy.engine.URL) -> set[str]:
    """Also the parts of a value, such as that of odbc_connect, and each as a URL writes it."""
    values = [place.password or ""]
    for several in place.query.values():
        for value in [several] if isinstance(several, str) else several:
            values += [value, *re.split("[;=&]", value)]
    plain = {str(value) for value in values} - {""}
    return {form(value) for value in plain for form in (str, quote, quote_plus)}


def _text(place: sqlalchemy.engine.URL) -> str:
    """For Optuna, which puts its schema version in place of braces: none are left in it."""
    return place.render_as_string(hide_password=False)
