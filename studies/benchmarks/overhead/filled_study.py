"""A study that is filled with finished trials of made-up curves, stored as a search stores its own."""

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.choice.choose import candidates
from search.choice.constraints import Constraints
from search.choice.run import run_at_best
from search.engine import launch
from search.recording.store import Store
from search.results.schema import StudyAttribute, run_attributes, storable_history
from search.stopping.stopped import Stopped
from search.training.checkpoint import save_weights
from search.training.trial import Outcome
from spaces import cnn

EPOCHS = 20
VAL_IMAGES = 3000
FINISHED_SHARE = 0.45  # of the trials; the others were hopeless before their end
CONSTRAINTS = Constraints(baseline_loss=0.6)
WEIGHTS = {"weight": torch.zeros(10, 10)}
NAME = "bookkeeping"


def url(folder: Path) -> str:
    """Of the database in a run folder."""
    return f"sqlite:///{folder / 'study.db'}"


def fill(folder: Path, size: int) -> None:
    """Add finished trials to the study in `folder` until there are `size`."""
    launch.make_folder(folder)
    store = Store(url(folder), NAME, seed=0)
    store.describe(StudyAttribute.BASELINE, {"val_loss": CONSTRAINTS.baseline_loss})
    drawing = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=size))
    for number in range(store.count(), size):
        drawn = drawing.ask()
        config = cnn.suggest(drawn)
        store.study.add_trial(frozen(outcome(number, np.random.default_rng(number)), drawn, config))
        if number % 500 == 499:
            print(f"{number + 1:,} trials stored", flush=True)
    for run in candidates(store.snapshot().runs):
        losses = np.random.default_rng(run.number).exponential(run.at_best.val_loss, VAL_IMAGES).astype(np.float32)
        losses *= run.at_best.val_loss / losses.mean()  # or else they would be taken for another trial's
        save_weights(folder / "weights" / f"{run.number}.pt", WEIGHTS, losses)


def outcome(number: int, rng: np.random.Generator) -> Outcome:
    """A trial that a search might have had: loss falls by a power law towards a level of its own, the gap grows."""
    finished = rng.random() < FINISHED_SHARE
    epochs = EPOCHS if finished else int(rng.integers(3, EPOCHS))
    level = 0.28 + 0.3 * rng.random() ** 2 + (0 if finished else 0.2)
    at = np.arange(1, epochs + 1)
    val_loss = level + 1.5 * at**-1.2 + rng.normal(0, 0.004, epochs)
    gap = rng.random() * 0.4 * at / EPOCHS + rng.normal(0, 0.004, epochs)
    accuracy = 1 - val_loss / 3
    curves = {
        "train_loss": val_loss - gap,
        "val_loss": val_loss,
        "train_accuracy": accuracy + gap / 3,
        "val_accuracy": accuracy,
        "val_loss_se": np.full(epochs, 0.015),
        "gap_se": np.full(epochs, 0.018),
        "gap": gap,
        "accuracy_gap": gap / 3,
        "val_rise_z": rng.normal(0, 1, epochs),
    }
    history = {name: [float(f"{value:.6g}") for value in values] for name, values in curves.items()}
    return Outcome(
        number=number,
        stopped=Stopped.FINISHED if finished else Stopped.HOPELESS,
        run=run_at_best(number, history, CONSTRAINTS, parameters=int(rng.integers(10_000, 1_000_000))),
        history=history,
        seconds=round(10 * rng.random(), 2),
        val_losses=rng.exponential(level, VAL_IMAGES).astype(np.float32),
    )


def frozen(
    ended: Outcome,
    drawn: optuna.trial.Trial,
    config: dict[str, Any],
    constraints: Constraints = CONSTRAINTS,
    system_attrs: dict[str, Any] | None = None,
) -> FrozenTrial:
    """The trial as the search would have stored it."""
    run = ended.run
    assert run is not None
    attributes = run_attributes(run) | {
        "config": config,
        "lineage": ended.number,
        "stopped": ended.stopped.value,
        "reason": ended.reason,
        "epochs_run": len(ended.history["val_loss"]),
        "epochs_planned": EPOCHS,
        "seconds": ended.seconds,
        "device": "cpu",
        "history": storable_history(ended.history),
    }
    complete = ended.stopped == Stopped.FINISHED
    return create_trial(
        state=TrialState.COMPLETE if complete else TrialState.PRUNED,
        values=list(run.objectives) if complete else None,
        params=drawn.params,
        distributions=drawn.distributions,
        user_attrs=attributes,
        system_attrs=system_attrs,
        constraints=constraints.violations(run.at_best.val_loss, run.at_best.gap),
    )
