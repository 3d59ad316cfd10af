"""The trainings of a confirmation that have ended, kept beside best.yaml until all have."""

import contextlib
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from search.engine.fresh import Fresh
from search.files import replace_file, set_aside

logger = logging.getLogger(__name__)


class KeptTrainings:
    """`best.confirm.json` beside best.yaml: where a confirmation ended early, the next one goes on from there.

    identity: of all that the figures depend on besides the seed. What was kept under another one is not taken up.
    """

    def __init__(self, best_yaml: Path, identity: str) -> None:
        self.path = best_yaml.with_name(f"{best_yaml.stem}.confirm.json")
        self.by_seed: dict[int, Fresh] = {}
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
        by_seed = self.by_seed | {training.seed: training}
        content = {"of": self._identity, "trained": [asdict(one) for one in by_seed.values()]}
        text = json.dumps(content | {"sha256": _hash(content)}, indent=1)
        replace_file(self.path, lambda scratch: scratch.write_text(text, encoding="utf-8"))
        self.by_seed = by_seed

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
        self.by_seed = {entry["seed"]: Fresh(**entry) for entry in content["trained"]}


def _hash(content: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
