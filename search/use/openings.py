"""How often the test split has been opened for what a run folder holds: whoever chooses by it has used it up."""

import contextlib
import json
import logging
from pathlib import Path
from typing import TypedDict

from search.errors import UserError
from search.files import replace_file, set_aside

logger = logging.getLogger(__name__)

NAME = "test_split.json"


class _Opening(TypedDict):
    of: str  # identity of the confirmation
    ended: bool


class Openings:
    """`test_split.json` in a run folder. A confirmation that goes on with one that ended early opens nothing anew."""

    def __init__(self, folder: Path, identity: str) -> None:
        """identity: of the confirmation that opens the test split now. Raises UserError where that cannot be kept."""
        self.path = folder / NAME
        self._all = self._read()
        begun = [one for one in self._all if one["of"] == identity and not one["ended"]]
        self._mine = begun[0] if begun else _Opening(of=identity, ended=False)
        if not begun:
            self._all.append(self._mine)
            try:
                self._write()
            except OSError as error:
                raise UserError(
                    f"cannot write {self.path}: {error.strerror}; mend that and start again, the test split is unopened"
                ) from None

    @property
    def count(self) -> int:
        """This one included."""
        return len(self._all)

    def end(self) -> None:
        """This confirmation has its figures: the next one of the same configuration is another opening."""
        self._mine["ended"] = True
        with contextlib.suppress(OSError):  # then the next one counts as going on with this one
            self._write()

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

    def _write(self) -> None:
        text = json.dumps({"openings": self._all}, indent=1)
        replace_file(self.path, lambda scratch: scratch.write_text(text, encoding="utf-8"))
