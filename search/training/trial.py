"""One trial: a configuration trained epoch by epoch until a rule, the plan or the user ends it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search.choice.constraints import Terms, best_epoch
from search.data.tensors import DeviceData
from search.measurement import History, measure, paired_z
from search.stopping.base import Decision
from search.stopping.diverged import DivergedRule
from search.stopping.overfit import OverfitRule
from search.stopping.stopped import Stopped
from search.training.checkpoint import RunState, load_checkpoint, save_checkpoint, save_weights
from search.training.precision import Precision
from search.training.trainer import Build, Epoch, Interrupted, Trainer

CHECKPOINT_SECONDS = 15.0


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

    stopped: Stopped
    reason: str


@dataclass(frozen=True)
class Outcome:
    """How a trial ended. history: one list per curve, one entry per epoch; best_epoch counts from 0.

    val_losses: per-image validation losses at the best epoch, float32 (n,). uncaptured: on a GPU, why its steps were
    no CUDA graph.
    """

    number: int
    stopped: Stopped
    reason: str | None = None
    history: History = field(default_factory=dict)
    best_epoch: int | None = None
    parameters: int = 0
    seconds: float = 0.0
    val_losses: np.ndarray | None = None
    uncaptured: str | None = None


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
    state = RunState(OverfitRule())
    parameters, uncaptured = 0, None
    try:
        trainer = Trainer(
            build, job.config, data, seed=job.seed, precision=conditions.precision, interrupted=interrupted
        )
        parameters = sum(p.numel() for p in trainer.model.parameters())
        if job.keeps and conditions.checkpoint(job).is_file():
            load_checkpoint(conditions.checkpoint(job), trainer, state)
        stop = _train(job, trainer, state, conditions, report)
        uncaptured = trainer.uncaptured
    except Interrupted:
        stop = Stop(Stopped.INTERRUPTED, "interrupted")
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        if not is_memory_error(error):
            raise
        stop = Stop(Stopped.OUT_OF_MEMORY, _first_line(error))
    if job.keeps and stop.stopped != Stopped.INTERRUPTED:
        conditions.checkpoint(job).unlink(missing_ok=True)
    if job.keeps and state.best_weights is not None and stop.stopped.reached_best:
        save_weights(conditions.weights(job.number), state.best_weights, state.best_losses)
    return Outcome(
        number=job.number,
        stopped=stop.stopped,
        reason=stop.reason or None,
        history=state.history,
        best_epoch=state.best_epoch,
        parameters=parameters,
        seconds=state.seconds,
        val_losses=state.best_losses,
        uncaptured=uncaptured,
    )


def _train(
    job: Job,
    trainer: Trainer,
    state: RunState,
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
            Stopped.DIVERGED: diverged.update(epoch.train.losses, epoch.val.losses),
            Stopped.OVERFIT: state.overfit.update(epoch.train.losses, epoch.val.losses),
        }
        answer = report(Report(job.number, state.history))
        stop = _first_stop(decisions) or answer
        if stop is not None and (state.epochs < job.epochs or stop.stopped in (Stopped.DIVERGED, Stopped.CANCELLED)):
            return stop
        if job.keeps and time.monotonic() - last_checkpoint > CHECKPOINT_SECONDS:
            save_checkpoint(conditions.checkpoint(job), trainer, state)
            last_checkpoint = time.monotonic()
    return Stop(Stopped.FINISHED, "")


def _first_stop(decisions: Mapping[Stopped, Decision]) -> Stop | None:
    for stopped, decision in decisions.items():
        if decision.stop:
            return Stop(stopped, decision.reason or "")
    return None


def _record(state: RunState, epoch: Epoch) -> None:
    """Append one value to each curve."""
    measurement = measure(epoch.train, epoch.val)
    lowest = min(state.history.get("val_loss", ()), default=float("inf"))
    rise_z = 0.0 if state.lowest_losses is None else paired_z(epoch.val.losses, state.lowest_losses)
    if measurement.val_loss < lowest:
        state.lowest_losses = epoch.val.losses
    for name, value in (measurement.as_dict() | {"val_rise_z": rise_z}).items():
        state.history.setdefault(name, []).append(value)


def _keep_best(state: RunState, epoch: Epoch, trainer: Trainer, terms: Terms) -> None:
    """Hold on to the weights when the epoch just measured is the best one."""
    state.best_epoch = best_epoch(state.history["val_loss"], state.history["gap"], terms)
    if state.best_epoch == state.epochs - 1:
        state.best_losses = epoch.val.losses
        state.best_weights = trainer.weights()


def is_memory_error(error: BaseException) -> bool:
    """CUDA has a class for it, its libraries have not; on a CPU torch raises a plain RuntimeError."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    said = ("can't allocate memory", "not enough memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")
    return any(part in str(error) for part in said)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
