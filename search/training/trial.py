"""One trial: a configuration trained epoch by epoch until a rule, the plan or the user ends it."""

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search.choice.constraints import Constraints
from search.choice.run import STILL_IMPROVING, Run, best_epoch, last_gain, run_at_best
from search.data.tensors import DeviceData
from search.measurement import History, measure, paired_z
from search.networks import Build
from search.stopping.base import Decision
from search.stopping.diverged import DivergedRule
from search.stopping.overfit import OverfitRule
from search.stopping.stopped import Stopped
from search.training.checkpoint import RunState, load_checkpoint
from search.training.checkpoint_store import CheckpointStore
from search.training.file_faults import Say, discard_checkpoint
from search.training.precision import Precision
from search.training.tensor_files import DamagedFile
from search.training.trainer import Epoch, Interrupted, Trainer
from search.training.trial_files import TrialFiles, Written

CHECKPOINT_SECONDS = 15.0  # of training that an interruption costs at most, or else one epoch


@dataclass(frozen=True)
class Job:
    """What a worker is asked to train."""

    number: int
    config: dict[str, Any]
    seed: int
    epochs: int
    lineage: int  # number of the trial that first had this configuration
    repeat: int = 0  # above 0: which training of an ended trial again, with another seed
    continues: int | None = None  # number of the finished trial that it takes further, from its checkpoint alone

    @property
    def keeps(self) -> bool:
        """Whether checkpoints are written. A repeat leaves none, goes to its end and is measured there."""
        return self.repeat == 0


@dataclass(frozen=True)
class Conditions:
    """What all trials of a study share."""

    constraints: Constraints
    precision: Precision
    folder: Path  # the run folder
    study: str  # tells it from another study of the same name
    data: str  # fingerprint of the images and their labels
    checkpoints: CheckpointStore | None = None  # of running trials, where they are not in the run folder

    def checkpoint(self, lineage: int) -> Path:
        """Where the state of a run is kept until its end has been recorded, and of one that more epochs may improve."""
        return self.folder / "checkpoints" / f"{lineage}.pt"

    def identity(self, job: Job) -> dict[str, Any]:
        """What a checkpoint must have been made for, so that this job may go on from it."""
        known = {"study": self.study, "data": self.data, **asdict(job), "number": None, "epochs": None}
        del known["continues"], known["repeat"]
        return known | {"keeps": job.keeps}

    def weights(self, number: int, repeat: int = 0) -> Path:
        """Where the best-epoch weights of a trial are kept, or those of its training again."""
        return self.folder / "weights" / (f"{number}.{repeat}.pt" if repeat else f"{number}.pt")


@dataclass(frozen=True)
class Report:
    """What a worker tells after an epoch: the trial's curves so far."""

    number: int
    history: History


@dataclass(frozen=True)
class Notice:
    """What a worker tells of the files of its trial; it waits for no answer."""

    number: int
    text: str  # a line for the person at the screen


@dataclass(frozen=True)
class Stop:
    """Why a trial ends: by a rule, or as the answer to a report."""

    stopped: Stopped
    reason: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How a trial ended."""

    number: int
    stopped: Stopped
    reason: str | None = None
    run: Run | None = None  # at its best epoch; None where no epoch has a finite loss
    history: History = field(default_factory=dict)
    seconds: float = 0.0  # of training
    val_losses: np.ndarray | None = None  # per-image validation losses at the best epoch, float32 (n,)
    val_correct: np.ndarray | None = None  # likewise: whether the network is right, bool (n,)
    uncaptured: str | None = None  # on a GPU: why its steps were no CUDA graph


def run_trial(
    job: Job,
    build: Build,
    data: DeviceData,
    conditions: Conditions,
    *,
    report: Callable[[Report], Stop | None] = lambda report: None,
    interrupted: Callable[[], bool] = lambda: False,
    say: Say = lambda text: None,
    written: Written = lambda path: None,
) -> Outcome:
    """Train `job.config` and leave the weights of its best epoch in the run folder.

    report: told after each epoch; may answer with a reason to stop.
    interrupted: asked before each batch, measured ones too, and while a full disk is waited for.
    say: told where files cannot be written or read.
    written: told of each file that lies in the run folder now; raises OSError where it cannot be kept.
    """
    state, trainer = RunState(OverfitRule()), None
    make = functools.partial(
        Trainer, build, job.config, data, seed=job.seed, precision=conditions.precision, interrupted=interrupted
    )
    weights, checkpoint = conditions.weights(job.number, job.repeat), conditions.checkpoint(job.lineage)
    files = TrialFiles(weights, checkpoint, conditions.identity(job), say, written)
    try:
        trainer, state = _begin(job, make, conditions, say)
        stop = _train(job, trainer, state, conditions, report, files)
    except Interrupted:
        stop = Stop(Stopped.INTERRUPTED, "interrupted")
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        if not is_memory_error(error):
            raise
        stop = Stop(Stopped.OUT_OF_MEMORY, _first_line(error))
    stop = _leave_files(job, stop, trainer, state, files, interrupted)
    return _outcome(job, stop, state, trainer, conditions)


def _begin(job: Job, make: Callable[[], Trainer], conditions: Conditions, say: Say) -> tuple[Trainer, RunState]:
    """Where the checkpoint of the job left off; afresh where there is none that can be used.

    Raises DamagedFile where there is none for a job that takes a finished trial further: that one has its result.
    """
    trainer, state, path = make(), RunState(OverfitRule()), conditions.checkpoint(job.lineage)
    if job.continues is None and not (job.keeps and path.is_file()):
        return trainer, state
    try:
        load_checkpoint(path, conditions.identity(job), trainer, state)
        return trainer, state
    except DamagedFile as damage:
        if damage.__cause__ is not None and is_memory_error(damage.__cause__):
            raise damage.__cause__ from None
        if job.continues is not None:
            raise
        discard_checkpoint(path, job.number, damage, say)
    return make(), RunState(OverfitRule())


def _train(
    job: Job,
    trainer: Trainer,
    state: RunState,
    conditions: Conditions,
    report: Callable[[Report], Stop | None],
    files: TrialFiles,
) -> Stop:
    """Epoch by epoch, until something ends it."""
    diverged = DivergedRule(trainer.data.classes)
    last_checkpoint = time.monotonic()
    while state.epochs < job.epochs:
        epoch = trainer.epoch()
        state.seconds += epoch.seconds
        _record(state, epoch)
        decisions = {Stopped.DIVERGED: diverged.update(epoch.train.losses, epoch.val.losses)}
        if job.keeps:
            _keep_best(state, epoch, trainer, conditions.constraints)
            decisions[Stopped.OVERFIT] = state.overfit.update(epoch.train.losses, epoch.val.losses)
        else:
            state.best_losses, state.best_correct = epoch.val.losses, epoch.val.correct
            state.best_weights = trainer.weights() if state.epochs == job.epochs else None
        answer = report(Report(job.number, state.history))
        stop = _first_stop(decisions) or answer
        if stop is not None and (state.epochs < job.epochs or stop.stopped in (Stopped.DIVERGED, Stopped.CANCELLED)):
            return stop
        after_the_next = time.monotonic() - last_checkpoint + epoch.seconds
        if job.keeps and state.epochs < job.epochs and after_the_next > CHECKPOINT_SECONDS:
            files.save_checkpoint(trainer, state)
            last_checkpoint = time.monotonic()
    return Stop(Stopped.FINISHED)


def _leave_files(
    job: Job,
    stop: Stop,
    trainer: Trainer | None,
    state: RunState,
    files: TrialFiles,
    interrupted: Callable[[], bool],
) -> Stop:
    """Leave the weights of the best epoch, and the last state where more epochs would improve it.

    Who records the outcome removes the checkpoint of any other run.

    Returns how the trial ends: one that is interrupted while it waits for room for its weights goes on later.
    """
    if not job.keeps:
        files.offer_weights(state)
        return stop
    kept = not stop.stopped.reached_best or files.save_weights(state, interrupted)
    if not kept and trainer is not None and files.save_checkpoint(trainer, state):
        return Stop(Stopped.INTERRUPTED, "interrupted")
    improving = last_gain(state.history.get("val_loss", ()), state.best_epoch) >= STILL_IMPROVING
    if stop.stopped == Stopped.FINISHED and improving and trainer is not None:
        files.save_checkpoint(trainer, state)
    return stop


def _outcome(job: Job, stop: Stop, state: RunState, trainer: Trainer | None, conditions: Conditions) -> Outcome:
    """trainer: None where there was no memory for the network."""
    parameters = 0 if trainer is None else sum(p.numel() for p in trainer.model.parameters())
    return Outcome(
        number=job.number,
        stopped=stop.stopped,
        reason=stop.reason,
        run=run_at_best(job.number, state.history, conditions.constraints, parameters),
        history=state.history,
        seconds=state.seconds,
        val_losses=state.best_losses,
        val_correct=state.best_correct,
        uncaptured=None if trainer is None else trainer.uncaptured,
    )


def _first_stop(decisions: Mapping[Stopped, Decision]) -> Stop | None:
    for stopped, decision in decisions.items():
        if decision.stop:
            return Stop(stopped, decision.reason)
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


def _keep_best(state: RunState, epoch: Epoch, trainer: Trainer, constraints: Constraints) -> None:
    """Hold on to the weights when the epoch just measured is the best one."""
    state.best_epoch = best_epoch(state.history["val_loss"], state.history["gap"], constraints)
    if state.best_epoch == state.epochs - 1:
        state.best_losses, state.best_correct = epoch.val.losses, epoch.val.correct
        state.best_weights = trainer.weights()


def is_memory_error(error: BaseException) -> bool:
    """CUDA has a class for it, its libraries have not; on a CPU torch raises a plain RuntimeError."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    said = ("can't allocate memory", "not enough memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")
    return any(part in str(error) for part in said)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
