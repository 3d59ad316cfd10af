"""TensorBoard's event files: a folder for each trial, with its curves, and what was drawn for it beside its figures.

TensorBoard's page HPARAMS shows them: its scatter plot matrix has the loss against the gap.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.measurement import History
from search.results.trial_result import TrialResult
from search.tracking.figures import at_best, points

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class EventFiles:
    """Event files in a folder that holds nothing else.

    Each start writes them anew from what the study holds, so nothing is in them twice, whatever ended the one before.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[int, SummaryWriter] = {}  # of running trials
        self._written: dict[int, int] = {}  # epochs of theirs

    def begin(self, ended: Sequence[TrialResult]) -> None:
        """Write those of all trials that have ended."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for trial in ended:
            self.ended(trial)

    def epoch(self, number: int, history: History) -> None:
        """Add the epochs that are missing."""
        writer = self._writer(number)
        first = self._written.get(number, 0)
        new = points(history, first)
        for step, values in enumerate(new, start=first + 1):  # epochs are shown from 1
            for name, value in values.items():
                writer.add_scalar(name, value, step)
        self._written[number] = first + len(new)
        writer.flush()

    def forget(self, number: int) -> None:
        """Remove its files."""
        self._close(number)
        shutil.rmtree(self._of(number), ignore_errors=True)

    def ended(self, trial: TrialResult) -> None:
        """Add its figures, and what was drawn for it."""
        from torch.utils.tensorboard.summary import hparams

        self.epoch(trial.number, trial.history)
        writer, figures = self._writer(trial.number), at_best(trial)
        for name, value in figures.items():
            writer.add_scalar(name, value, 0)
        drawn: dict[str, Any] = {**trial.params, "stopped": str(trial.ending)}
        for summary in hparams(drawn, figures):
            writer._get_file_writer().add_summary(summary)  # `add_hparams` would put them into a folder of their own
        self._close(trial.number)

    def close(self) -> None:
        """Write out what is left."""
        for number in list(self._writers):
            self._close(number)

    def _of(self, number: int) -> Path:
        return self._folder / f"trial_{number:04d}"

    def _writer(self, number: int) -> "SummaryWriter":
        from torch.utils.tensorboard import SummaryWriter

        if number not in self._writers:
            self._writers[number] = SummaryWriter(str(self._of(number)))
        return self._writers[number]

    def _close(self, number: int) -> None:
        self._written.pop(number, None)
        if (writer := self._writers.pop(number, None)) is not None:
            writer.close()
