"""Which search a study belongs to: its process says so in the study, again and again, for others to see.

The lock of the run folder keeps a second start out of the same folder. The same database may be named from another
folder, and from another machine.
"""

import contextlib
import os
import socket
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

import optuna

from search.errors import UserError
from search.results.database import default_storage_url, sqlite_file
from search.results.schema import StudyAttribute

BEAT_SECONDS = 10.0  # between two signs of life
DEAD_SECONDS = 60.0  # without one: then a search has ended, whatever its process does
_HELD: set[str] = set()  # tokens of the searches of this process


@dataclass(frozen=True)
class Sign:
    """A sign of life, as the study keeps it."""

    host: str
    process: int
    token: str  # of one start: a process's number comes again, in a container at every start
    beat: float  # seconds since the epoch

    def alive(self) -> bool:
        """Whether that search still runs, as far as can be told from here."""
        if abs(time.time() - self.beat) > DEAD_SECONDS:
            return False
        if self.host != socket.gethostname():
            return True
        return self.token in _HELD if self.process == os.getpid() else _exists(self.process)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


@dataclass
class Owner:
    """The search that a study belongs to; see `claim`."""

    study: optuna.Study
    folder: Path  # the run folder
    database: Path | None  # its file, where the study is in one
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    due: float = -float("inf")  # when to give the next sign of life, in monotonic seconds

    def __post_init__(self) -> None:
        self._files = [(path, _identity(path)) for path in (self.folder, self.database) if path is not None]

    def __enter__(self) -> "Owner":
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def beat(self) -> None:
        """Give a sign of life if one is due; called a few times a second.

        Raises UserError where the study, its database or the run folder is gone, or another search has taken over.
        """
        self._require_files()
        if time.monotonic() >= self.due:
            self.check()
            self.sign()

    def check(self) -> None:
        """Raise UserError where `beat` would. Raises Optuna's errors where the database cannot be read."""
        self._require_files()
        recorded = _recorded(self.study)
        if recorded is None or recorded.token != self.token:
            by = "another search" if recorded is None else str(recorded)
            raise UserError(f"{by} has taken over the study {self.study.study_name}; wait for that search, or end it")

    def sign(self) -> None:
        """Give a sign of life now."""
        self.due = time.monotonic() + BEAT_SECONDS
        sign = Sign(socket.gethostname(), os.getpid(), self.token, time.time())
        self.study.set_user_attr(StudyAttribute.OWNER, asdict(sign))

    def release(self) -> None:
        """Leave the study to whoever comes next. Where that cannot be recorded, a later start finds this one ended."""
        _HELD.discard(self.token)
        with contextlib.suppress(Exception):
            recorded = _recorded(self.study)
            if recorded is not None and recorded.token == self.token:
                self.study.set_user_attr(StudyAttribute.OWNER, None)

    def _require_files(self) -> None:
        for path, identity in self._files:
            if _identity(path) != identity:
                what = "the run folder" if path is self.folder else "the database"
                raise UserError(
                    f"{what} {path} was moved or deleted while the search ran; put it back, or name the run folder "
                    f"where it is now with --out, and start again"
                )


def claim(study: optuna.Study, folder: Path, url: str) -> Owner:
    """Make this search the owner of a study. url: of its database.

    Raises UserError where another search is running on it, and where its files lie in another run folder.
    """
    recorded = _recorded(study)
    if recorded is not None and recorded.alive():
        raise _refused(study, recorded)
    if url != default_storage_url(folder):
        _require_its_folder(study, folder)
    owner = Owner(study, folder, sqlite_file(url))
    _HELD.add(owner.token)
    owner.sign()
    recorded = _recorded(study)  # of two that start at the same moment, the last to sign goes on
    if recorded is None or recorded.token != owner.token:
        _HELD.discard(owner.token)
        raise _refused(study, recorded)
    study.set_user_attr(StudyAttribute.FOLDER, str(folder.resolve()))
    return owner


def _refused(study: optuna.Study, owner: Sign | None) -> UserError:
    return UserError(
        f"another search is running on the study {study.study_name}: {owner}; wait for it, or name another database "
        f"with --storage and another folder with --out"
    )


def _require_its_folder(study: optuna.Study, folder: Path) -> None:
    """Raise UserError where the weights that the study tells of lie elsewhere. A run folder may have been moved."""
    recorded = study.user_attrs.get(StudyAttribute.FOLDER)
    if recorded is None or Path(recorded) == folder.resolve():
        return
    ended = any(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))
    moved = not os.path.isdir(recorded) and (any((folder / "weights").glob("*.pt")) or not ended)
    if not moved:
        raise UserError(
            f"the study {study.study_name} in this storage has its files in {recorded}; name that folder with --out, "
            f"or another database with --storage"
        )


def _recorded(study: optuna.Study) -> Sign | None:
    """Who the study says it belongs to. Raises UserError where the study is gone."""
    try:
        stored = study.user_attrs.get(StudyAttribute.OWNER)
    except KeyError:  # so Optuna's storages say
        raise UserError(
            "the study was deleted while it was searched; start again with another --out, or with the same one to "
            "begin anew"
        ) from None
    return None if stored is None else Sign(**stored)


def _exists(process: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file or folder a path leads to; None for none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
