"""How often the test split has been opened for what a run folder holds: whoever chooses by it has used it up."""

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

from search.errors import UserError
from search.files import locked, replace_file, set_aside

logger = logging.getLogger(__name__)

NAME = "test_split.json"


class _Opening(TypedDict):
    of: str  # identity of the confirmation
    ended: bool


class Openings:
    """`test_split.json` in a run folder. A confirmation that goes on with one that ended early opens nothing anew."""

    def __init__(self, folder: Path, identity: str) -> None:
        """identity: of the confirmation that opens the test split now. Raises UserError where that cannot be kept."""
        self.path, self._identity = folder / NAME, identity
        try:
            with self._changed() as openings:
                if not any(map(self._is_mine, openings)):
                    openings.append(_Opening(of=identity, ended=False))
                self.count = len(openings)  # this one included
        except OSError as error:
            raise UserError(
                f"cannot write {self.path}: {error.strerror}; mend that and start again, the test split is unopened"
            ) from None

    def end(self) -> None:
        """This confirmation has its figures: the next one of the same configuration is another opening."""
        with contextlib.suppress(OSError), self._changed() as openings:  # else the next one goes on with this one
            for one in filter(self._is_mine, openings):
                one["ended"] = True

    def _is_mine(self, one: _Opening) -> bool:
        return one["of"] == self._identity and not one["ended"]

    @contextlib.contextmanager
    def _changed(self) -> Iterator[list[_Opening]]:
        """The openings, to be changed: read anew each time, since other commands open the test split meanwhile."""
        with locked(self.path.with_name(f".{NAME}.lock"), f"changes {self.path}"):
            openings = self._read()
            yield openings
            text = json.dumps({"openings": openings}, indent=1)
            replace_file(self.path, lambda scratch: scratch.write_text(text, encoding="utf-8"))

    def _read(self) -> list[_Opening]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))["openings"]
            return [_Opening(of=str(one["of"]), ended=bool(one["ended"])) for one in found]
        except FileNotFoundError:
            return []
        except Exception:  # garbage raises nearly anything
            with contextlib.suppress(OSError):
                set_aside(self.path)
            logger.warning(f"{self.path} is damaged: it is set aside, and earlier openings of the test split are lost")
            return []
