"""One trial: a configuration trained epoch by epoch until a rule, the plan or the user ends it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search.data import DeviceData
from search.gap import measure, paired_z
from search.precision import Precision
from search.selection import Terms, best_epoch
from search.stopping import (
    CANCELLED,
    DIVERGED,
    FINISHED,
    INTERRUPTED,
    OUT_OF_MEMORY,
    OVERFIT,
    Decision,
    DivergedRule,
    OverfitRule,
)
from search.training import Build, Epoch, Interrupted, Trainer

CHECKPOINT_SECONDS = 15.0

History = dict[str, list[float]]


@dataclass(frozen=True)
class Job:
    """What a worker is asked to train.

    lineage: number of the trial that first had this configuration. keeps: whether checkpoints and weights are written.
    """

    number: int
    config: dict[str, Any]
    seed: int
    epochs: int
    lineage: int
    keeps: bool = True


@dataclass(frozen=True)
class Conditions:
    """What all trials of a study share."""

    terms: Terms
    precision: Precision
    folder: Path

    def checkpoint(self, job: Job) -> Path:
        return self.folder / "checkpoints" / f"{job.lineage}.pt"

    def weights(self, number: int) -> Path:
        return self.folder / "weights" / f"{number}.pt"


@dataclass(frozen=True)
class Report:
    """What a worker tells after an epoch: the trial's curves so far."""

    number: int
    history: History


@dataclass(frozen=True)
class Stop:
    """The answer to a report that ends the trial."""

    stopped: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """How a trial ended. history: one list per curve, one entry per epoch; best_epoch counts from 0.

    val_losses: per-image validation losses at the best epoch, float32 (n,). uncaptured: on a GPU, why its steps were
    no CUDA graph.
    """

    number: int
    stopped: str
    reason: str | None = None
    history: History = field(default_factory=dict)
    best_epoch: int | None = None
    parameters: int = 0
    seconds: float = 0.0
    val_losses: np.ndarray | None = None
    uncaptured: str | None = None


@dataclass
class _State:
    """What a trial has gathered; with the trainer's state it makes a checkpoint."""

    overfit: OverfitRule
    history: History = field(default_factory=dict)
    seconds: float = 0.0
    rise_from: np.ndarray | None = None  # per-image losses of the lowest validation loss so far
    kept_epoch: int | None = None
    kept_losses: np.ndarray | None = None
    kept_weights: dict[str, torch.Tensor] | None = None

    @property
    def epochs(self) -> int:
        return len(self.history.get("val_loss", ()))


def run_trial(
    job: Job,
    build: Build,
    data: DeviceData,
    conditions: Conditions,
    *,
    report: Callable[[Report], Stop | None] = lambda report: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train `job.config` and leave the weights of its best epoch in the run folder.

    report: told after each epoch; may answer with a reason to stop.
    interrupted: asked before each batch.
    """
    state = _State(OverfitRule(total_epochs=job.epochs))
    parameters, uncaptured = 0, None
    try:
        trainer = Trainer(
            build, job.config, data, seed=job.seed, precision=conditions.precision, interrupted=interrupted
        )
        parameters = sum(p.numel() for p in trainer.model.parameters())
        if job.keeps:
            _restore(conditions.checkpoint(job), trainer, state)
        stop = _train(job, trainer, state, conditions, report)
        uncaptured = trainer.uncaptured
    except Interrupted:
        stop = Stop(INTERRUPTED, "interrupted")
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        if not is_memory_error(error):
            raise
        stop = Stop(OUT_OF_MEMORY, _first_line(error))
    if job.keeps and stop.stopped != INTERRUPTED:
        conditions.checkpoint(job).unlink(missing_ok=True)
    if job.keeps and state.kept_weights is not None and stop.stopped in (FINISHED, OVERFIT, DIVERGED):
        save_weights(conditions.weights(job.number), state.kept_weights, state.kept_losses)
    return Outcome(
        number=job.number,
        stopped=stop.stopped,
        reason=stop.reason or None,
        history=state.history,
        best_epoch=state.kept_epoch,
        parameters=parameters,
        seconds=state.seconds,
        val_losses=state.kept_losses,
        uncaptured=uncaptured,
    )


def _train(
    job: Job,
    trainer: Trainer,
    state: _State,
    conditions: Conditions,
    report: Callable[[Report], Stop | None],
) -> Stop:
    diverged = DivergedRule(trainer.data.classes)
    last_checkpoint = time.monotonic()
    while state.epochs < job.epochs:
        epoch = trainer.epoch()
        state.seconds += epoch.seconds
        _record(state, epoch)
        _keep_best(state, epoch, trainer, conditions.terms)
        decisions = {
            DIVERGED: diverged.update(epoch.train.losses, epoch.val.losses),
            OVERFIT: state.overfit.update(epoch.train.losses, epoch.val.losses),
        }
        answer = report(Report(job.number, state.history))
        stop = _first_stop(decisions) or answer
        if stop is not None and (state.epochs < job.epochs or stop.stopped in (DIVERGED, CANCELLED)):
            return stop
        if job.keeps and time.monotonic() - last_checkpoint > CHECKPOINT_SECONDS:
            _save(conditions.checkpoint(job), trainer, state)
            last_checkpoint = time.monotonic()
    return Stop(FINISHED, "")


def _first_stop(decisions: Mapping[str, Decision]) -> Stop | None:
    for stopped, decision in decisions.items():
        if decision.stop:
            return Stop(stopped, decision.reason or "")
    return None


def _record(state: _State, epoch: Epoch) -> None:
    """Append one value to each curve."""
    measurement = measure(epoch.train, epoch.val)
    lowest = min(state.history.get("val_loss", ()), default=float("inf"))
    rise_z = 0.0 if state.rise_from is None else paired_z(epoch.val.losses, state.rise_from)
    if measurement.val_loss < lowest:
        state.rise_from = epoch.val.losses
    for name, value in (measurement.as_dict() | {"val_rise_z": rise_z}).items():
        state.history.setdefault(name, []).append(value)


def _keep_best(state: _State, epoch: Epoch, trainer: Trainer, terms: Terms) -> None:
    """Hold on to the weights when the epoch just measured is the best one."""
    state.kept_epoch = best_epoch(state.history["val_loss"], state.history["gap"], terms)
    if state.kept_epoch == state.epochs - 1:
        state.kept_losses = epoch.val.losses
        state.kept_weights = trainer.weights()


def save_weights(path: Path, weights: Mapping[str, torch.Tensor], val_losses: np.ndarray | None) -> None:
    """Write best-epoch weights with their per-image validation losses."""
    losses = None if val_losses is None else torch.from_numpy(val_losses)
    _write(path, {"weights": dict(weights), "val_losses": losses})


def load_weights(path: Path) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """What `save_weights` wrote."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    return content["weights"], content["val_losses"].numpy()


def _save(path: Path, trainer: Trainer, state: _State) -> None:
    gathered = {name: value for name, value in vars(state).items() if name != "overfit"}
    content = {"trainer": trainer.state_dict(), "overfit": state.overfit.state_dict(), "gathered": gathered}
    _write(path, _convert(content, np.ndarray, torch.from_numpy))


def _restore(path: Path, trainer: Trainer, state: _State) -> None:
    """Go on from a checkpoint where there is one. Its tensors of the trainer stay tensors."""
    if not path.is_file():
        return
    content = torch.load(path, map_location=trainer.data.images.device, weights_only=True)
    trainer.load_state_dict(content["trainer"])
    state.overfit.load_state_dict(_convert(content["overfit"], torch.Tensor, lambda t: t.cpu().numpy()))
    gathered = content["gathered"]
    kept_weights = gathered.pop("kept_weights")
    vars(state).update(_convert(gathered, torch.Tensor, lambda t: t.cpu().numpy()))
    state.kept_weights = None if kept_weights is None else {name: w.cpu() for name, w in kept_weights.items()}


def _convert(content: Any, kind: type, convert: Callable[[Any], Any]) -> Any:  # noqa: ANN401
    """Apply `convert` to every object of that kind in nested dictionaries."""
    if isinstance(content, dict):
        return {name: _convert(value, kind, convert) for name, value in content.items()}
    return convert(content) if isinstance(content, kind) else content


def _write(path: Path, content: object) -> None:
    """torch.save, but a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    torch.save(content, scratch)
    scratch.replace(path)


def is_memory_error(error: BaseException) -> bool:
    """CUDA has a class for it, its libraries have not; on a CPU torch raises a plain RuntimeError."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    said = ("can't allocate memory", "not enough memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")
    return any(part in str(error) for part in said)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
