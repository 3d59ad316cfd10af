"""What a trial writes while it trains: checkpoints to go on from, and the weights of its best epoch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search.files import replace_file
from search.measurement import History
from search.stopping.overfit import OverfitRule
from search.training.trainer import Trainer


@dataclass
class RunState:
    """What a run has gathered so far; with the trainer's state it makes a checkpoint."""

    overfit: OverfitRule
    history: History = field(default_factory=dict)
    seconds: float = 0.0  # of training
    lowest_losses: np.ndarray | None = None  # per image, of the epoch with the lowest validation loss
    best_epoch: int | None = None  # from 0; another one than the lowest where that violates a constraint
    best_losses: np.ndarray | None = None  # per image, of the best epoch
    best_weights: dict[str, torch.Tensor] | None = None

    @property
    def epochs(self) -> int:
        """Epochs trained and measured."""
        return len(self.history.get("val_loss", ()))


def save_checkpoint(path: Path, identity: Mapping[str, Any], trainer: Trainer, state: RunState) -> None:
    """Write all that `load_checkpoint` needs. identity: what the checkpoint belongs to, plain values."""
    gathered = {name: value for name, value in vars(state).items() if name != "overfit"}
    content = {
        "identity": dict(identity),
        "trainer": trainer.state_dict(),
        "overfit": state.overfit.state_dict(),
        "gathered": gathered,
    }
    replace_file(path, lambda scratch: torch.save(_convert(content, np.ndarray, torch.from_numpy), scratch))


def load_checkpoint(path: Path, identity: Mapping[str, Any], trainer: Trainer, state: RunState) -> bool:
    """Bring trainer and state to where `save_checkpoint` found them, to the last digit; whether it did.

    One that is missing, or belongs to something else, is left alone: the run starts afresh.
    """
    if not path.is_file():
        return False
    content = torch.load(path, map_location=trainer.data.images.device, weights_only=True)
    if content.get("identity") != dict(identity):
        return False
    trainer.load_state_dict(content["trainer"])
    state.overfit.load_state_dict(_convert(content["overfit"], torch.Tensor, _to_numpy))
    gathered = content["gathered"]
    best_weights = gathered.pop("best_weights")  # stay tensors
    vars(state).update(_convert(gathered, torch.Tensor, _to_numpy))
    state.best_weights = None if best_weights is None else {name: w.cpu() for name, w in best_weights.items()}
    return True


def save_weights(path: Path, weights: Mapping[str, torch.Tensor], val_losses: np.ndarray | None) -> None:
    """Write best-epoch weights with their per-image validation losses."""
    losses = None if val_losses is None else torch.from_numpy(val_losses)
    replace_file(path, lambda scratch: torch.save({"weights": dict(weights), "val_losses": losses}, scratch))


def load_weights(path: Path) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """What `save_weights` wrote."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    return content["weights"], content["val_losses"].numpy()


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().numpy()


def _convert(content: Any, kind: type, convert: Callable[[Any], Any]) -> Any:  # noqa: ANN401
    """Apply `convert` to every object of that kind in nested dictionaries."""
    if isinstance(content, dict):
        return {name: _convert(value, kind, convert) for name, value in content.items()}
    return convert(content) if isinstance(content, kind) else content
