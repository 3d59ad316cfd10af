"""What a trial writes while it trains: checkpoints to go on from, and the weights of its best epoch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search.measurement import History
from search.stopping.overfit import OverfitRule
from search.training.tensor_files import DamagedFile, load_tensors, save_tensors
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
    best_correct: np.ndarray | None = None  # likewise: whether the network is right
    best_weights: dict[str, torch.Tensor] | None = None

    @property
    def epochs(self) -> int:
        """Epochs trained and measured."""
        return len(self.history.get("val_loss", ()))


def save_checkpoint(path: Path, identity: Mapping[str, Any], trainer: Trainer, state: RunState) -> None:
    """Write all that `load_checkpoint` needs. identity: what the checkpoint belongs to, plain values.

    Raises OSError where that fails; the checkpoint before it stays.
    """
    gathered = {name: value for name, value in vars(state).items() if name != "overfit"}
    content = {
        "identity": dict(identity),
        "trainer": trainer.state_dict(),
        "overfit": state.overfit.state_dict(),
        "gathered": gathered,
    }
    save_tensors(path, _convert(content, np.ndarray, torch.from_numpy))


def load_checkpoint(path: Path, identity: Mapping[str, Any], trainer: Trainer, state: RunState) -> None:
    """Bring trainer and state to where `save_checkpoint` found them, to the last digit.

    Raises DamagedFile, also where it belongs to something else; trainer and state are of no use then.
    """
    content = load_tensors(path, trainer.data.images.device)
    try:
        if content["identity"] != dict(identity):
            raise DamagedFile("it belongs to another run")
        trainer.load_state_dict(content["trainer"])
        state.overfit.load_state_dict(_convert(content["overfit"], torch.Tensor, _to_numpy))
        gathered = content["gathered"]
        best_weights = gathered.pop("best_weights")  # stay tensors
        vars(state).update(_convert(gathered, torch.Tensor, _to_numpy))
        state.best_weights = None if best_weights is None else {name: w.cpu() for name, w in best_weights.items()}
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise DamagedFile("it is no checkpoint of this trial") from error


def save_weights(path: Path, weights: Mapping[str, torch.Tensor], val_losses: np.ndarray | None) -> None:
    """Write best-epoch weights with their per-image validation losses. Raises OSError where that fails."""
    losses = None if val_losses is None else torch.from_numpy(val_losses)
    save_tensors(path, {"weights": dict(weights), "val_losses": losses})


def load_weights(path: Path) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """What `save_weights` wrote. Raises DamagedFile where it is missing or not what it was."""
    content = load_tensors(path)
    try:
        weights, losses = content["weights"], content["val_losses"].numpy()
    except (LookupError, TypeError, AttributeError) as error:
        raise DamagedFile("it holds no weights of a trial") from error
    if not isinstance(weights, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in weights.values()):
        raise DamagedFile("it holds no weights of a trial")
    return weights, losses


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().numpy()


def _convert(content: Any, kind: type, convert: Callable[[Any], Any]) -> Any:  # noqa: ANN401
    """Apply `convert` to every object of that kind in nested dictionaries."""
    if isinstance(content, dict):
        return {name: _convert(value, kind, convert) for name, value in content.items()}
    return convert(content) if isinstance(content, kind) else content
