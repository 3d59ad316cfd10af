"""What each finished run does on each validation image, kept in the run folder: the expected figures need it.

A loss takes two bytes (float16) and whether the network is right one: with 12,000 validation images 36 kB for each run,
and 7.2 MB for the 200 that are kept at most. Those of the race come on top, some ten of them.
"""

import contextlib
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from search.choice.race import Training
from search.choice.run import Run
from search.choice.seed_noise import Repeat
from search.files import set_aside
from search.training.file_faults import write_or_skip
from search.training.tensor_files import DamagedFile, load_tensors, save_tensors

MOST = 200  # runs whose losses are kept, those of lowest validation loss
OURS = re.compile(r"([0-9]+)\.([0-9]+)\.pt")  # number of the trial, index of its seed
LARGEST = 6e4  # that float16 holds, nearly
NO_LOSSES = "after another start, the expected figures go without that training"
ROUNDING = 2e-3  # of a mean loss, at most


class ImageLosses:
    """Per-image losses and whether the network is right, by training; each of shape (n,)."""

    def __init__(
        self, folder: Path, runs: Sequence[Run], repeats: Sequence[Repeat], note: Callable[[str], None]
    ) -> None:
        self.losses: dict[Training, np.ndarray] = {}  # float16, in nats
        self.correct: dict[Training, np.ndarray] = {}  # bool
        self._folder, self._note = folder / "losses", note
        recorded = {(run.number, 0): run.at_best.val_loss for run in runs}
        known = recorded | {(one.trial, one.index): one.val_loss for one in repeats if not one.failed}
        for path in self._folder.glob("*.pt"):
            if (found := OURS.fullmatch(path.name)) and path.is_file():
                training = int(found[1]), int(found[2])
                if training in known:
                    self._read(training, path, known[training])
                else:
                    path.unlink(missing_ok=True)

    def add(self, training: Training, losses: np.ndarray | None, correct: np.ndarray | None) -> None:
        """Keep those of a training that has ended. On a full disk it goes on without them, and says so."""
        if losses is None or correct is None or not np.isfinite(losses).all():
            return
        self._hold(training, np.minimum(losses, LARGEST).astype(np.float16), correct.astype(bool))
        content = {
            "losses": torch.from_numpy(self.losses[training]),
            "correct": torch.from_numpy(self.correct[training]),
        }
        write_or_skip(lambda: save_tensors(self._path(training), content), self._folder, self._note, NO_LOSSES)

    def update(self, runs: Sequence[Run]) -> None:
        """Keep those of the best runs, and of no other; those of the race stay."""
        best = sorted((run for run in runs if run.feasible), key=lambda run: run.at_best.val_loss)[:MOST]
        kept = {run.number for run in best}
        for training in [training for training in self.losses if training[1] == 0 and training[0] not in kept]:
            self._path(training).unlink(missing_ok=True)
            del self.losses[training], self.correct[training]

    def _path(self, training: Training) -> Path:
        return self._folder / f"{training[0]}.{training[1]}.pt"

    def _hold(self, training: Training, losses: np.ndarray, correct: np.ndarray) -> None:
        self.losses[training], self.correct[training] = losses, correct

    def _read(self, training: Training, path: Path, val_loss: float) -> None:
        """val_loss: what their mean must be."""
        try:
            content = load_tensors(path)
            try:
                losses, correct = content["losses"].numpy(), content["correct"].numpy()
            except (LookupError, TypeError, AttributeError) as error:
                raise DamagedFile("it holds no losses of a trial") from error
            mean = float(losses.mean(dtype=np.float64))
            if not math.isclose(mean, val_loss, rel_tol=ROUNDING, abs_tol=1e-5):
                raise DamagedFile("its losses are not those of this trial")
            self._hold(training, losses, correct)
        except DamagedFile as damage:
            with contextlib.suppress(OSError):
                set_aside(path)
            self._note(f"{path} is damaged ({damage}): it is set aside, and the expected figures go without it")
