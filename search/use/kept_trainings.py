"""The trainings of a confirmation that have ended, kept beside best.yaml until all have."""

import base64
import contextlib
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from search.files import replace_file, set_aside
from search.use.fresh import Fresh

logger = logging.getLogger(__name__)


class KeptTrainings:
    """`best.confirm.json` beside best.yaml: where a confirmation ended early, the next one goes on from there.

    identity: of all that the figures depend on besides the seed. What was kept under another one is not taken up.
    """

    def __init__(self, best_yaml: Path, identity: str) -> None:
        self.path = best_yaml.with_name(f"{best_yaml.stem}.confirm.json")
        self.done: dict[tuple[int, int], Fresh] = {}  # by trial and seed
        self._identity = identity
        try:
            self._read()
        except FileNotFoundError:
            pass
        except Exception as error:  # garbage raises nearly anything
            with contextlib.suppress(OSError):  # then what is kept next takes its place
                set_aside(self.path)
            reason = error.strerror if isinstance(error, OSError) else "it does not hold what was written to it"
            logger.warning(f"{self.path} is damaged ({reason}): it is set aside, and its seeds are trained again")

    def add(self, training: Fresh) -> None:
        """Keep one more. Raises OSError where it cannot be written; what was kept before stays."""
        done = self.done | {(training.trial, training.seed): training}
        content = {"of": self._identity, "trained": [_written(one) for one in done.values()]}
        text = json.dumps(content | {"sha256": _hash(content)}, indent=1)
        replace_file(self.path, lambda scratch: scratch.write_text(text, encoding="utf-8"))
        self.done = done

    def remove(self) -> None:
        """All of it has gone into best.yaml."""
        with contextlib.suppress(OSError):  # then the next confirmation has it in no time
            self.path.unlink()

    def _read(self) -> None:
        content = json.loads(self.path.read_text(encoding="utf-8"))
        if content.pop("sha256") != _hash(content):
            raise ValueError
        if content["of"] != self._identity:
            logger.info(f"{self.path} is of another configuration, or of other images: it is not taken up")
            return
        trained = [Fresh(**_read(entry)) for entry in content["trained"]]
        self.done = {(one.trial, one.seed): one for one in trained}


def _written(training: Fresh) -> dict[str, int | str]:
    """For JSON."""
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in asdict(training).items()
    }


def _read(entry: Mapping[str, int | str]) -> dict[str, Any]:
    """What `_written` was given."""
    return {name: base64.b64decode(value) if isinstance(value, str) else value for name, value in entry.items()}


def _hash(content: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
