"""The files that a trial leaves in the run folder while it trains, and at its end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.training.checkpoint import RunState, save_checkpoint, save_weights
from search.training.file_faults import Say, write_or_skip, write_patiently
from search.training.trainer import Trainer

NO_CHECKPOINT = "without checkpoints, trials that are interrupted start afresh"
NO_NETWORK = "the ensemble goes without that network"
Written = Callable[[Path], None]  # told of a file that is complete; raises OSError where it cannot be kept


@dataclass(frozen=True)
class TrialFiles:
    """Where a trial writes, and who is told."""

    weights: Path
    checkpoint: Path
    identity: Mapping[str, Any]  # what the checkpoint belongs to
    say: Say  # where something cannot be written
    written: Written

    def save_checkpoint(self, trainer: Trainer, state: RunState) -> bool:
        """False where it cannot be written, which costs nothing unless the trial is interrupted."""

        def write() -> None:
            save_checkpoint(self.checkpoint, self.identity, trainer, state)
            self.written(self.checkpoint)

        return write_or_skip(write, self.checkpoint.parent, self.say, NO_CHECKPOINT)

    def save_weights(self, state: RunState, interrupted: Callable[[], bool]) -> bool:
        """Those of the best epoch, if it has one; False where it was interrupted before there was room for them."""
        if state.best_weights is None:
            return True
        return write_patiently(lambda: self._write(state), self.weights.parent, self.say, interrupted)

    def offer_weights(self, state: RunState) -> None:
        """Save them, if there are any, where there is room; without them the search goes on."""
        if state.best_weights is not None:
            write_or_skip(lambda: self._write(state), self.weights.parent, self.say, NO_NETWORK)

    def _write(self, state: RunState) -> None:
        assert state.best_weights is not None
        save_weights(self.weights, state.best_weights, state.best_losses)
        self.written(self.weights)
