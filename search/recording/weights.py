"""The best-epoch weights that trials leave in the run folder, for those that may still be chosen."""

import contextlib
import math
import re
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path

import numpy as np
import torch

from search.choice.choose import candidates, nearest
from search.choice.constraints import Constraints
from search.choice.race import Race
from search.choice.run import Run
from search.files import set_aside
from search.training.checkpoint import load_weights
from search.training.tensor_files import DamagedFile
from search.training.trial import Conditions

OURS = re.compile(r"[0-9]+\.pt")


def read_weights(conditions: Conditions, run: Run) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """The weights of a run and its per-image validation losses, float32 (n,).

    Raises DamagedFile where they are missing, not what they were, or another run's.
    """
    weights, losses = load_weights(conditions.weights(run.number))
    if not math.isclose(float(losses.mean(dtype="float64")), run.at_best.val_loss, rel_tol=1e-6):
        raise DamagedFile("its losses are not those of this trial")
    return weights, losses


def to_be_kept(runs: Sequence[Run], constraints: Constraints) -> list[Run]:
    """The runs that may still be chosen; where nothing may be, the one that is nearest to it."""
    if close := candidates(runs):
        return close
    closest = nearest(runs, constraints)
    return [] if closest is None else [closest]


def raced_anyway(runs: Sequence[Run]) -> list[Run]:
    """The runs that a race takes however far ahead the first is, and may then choose."""
    feasible = (run for run in runs if run.feasible)
    return sorted(feasible, key=lambda run: (run.at_best.val_loss, run.number))[: Race.fewest]


class KeptWeights:
    """The weights in the run folder: of the runs that may still be chosen, by a race too, and of no other ended one."""

    def __init__(self, conditions: Conditions, note: Callable[[str], None]) -> None:
        self.val_losses: dict[int, np.ndarray] = {}  # per image, float32 (n,), of the runs whose weights are kept
        self._conditions, self._note = conditions, note

    def update(self, runs: Sequence[Run], running: Set[int]) -> None:
        """Remove and read what has to be. running: numbers of the trials that may be writing theirs.

        What is damaged is set aside and noted; that run is compared without its per-image losses.
        """
        kept = {run.number: run for run in [*to_be_kept(runs, self._conditions.constraints), *raced_anyway(runs)]}
        for number, path in self._files():
            if number not in kept and number not in running:
                path.unlink(missing_ok=True)
                self.val_losses.pop(number, None)
            elif number in kept and number not in self.val_losses:
                self._read(kept[number], path)

    def _files(self) -> Iterator[tuple[int, Path]]:
        """The trials that have left weights, and where; files of other names are nobody's business."""
        for path in (self._conditions.folder / "weights").glob("*.pt"):
            if OURS.fullmatch(path.name) and path.is_file():
                yield int(path.stem), path

    def _read(self, run: Run, path: Path) -> None:
        try:
            self.val_losses[run.number] = read_weights(self._conditions, run)[1]
        except DamagedFile as damage:
            with contextlib.suppress(OSError):
                set_aside(path)
            self._note(f"{path} is damaged ({damage}): it is set aside, and trial {run.number} is compared without it")
