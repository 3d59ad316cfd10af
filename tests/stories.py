"""Made-up searches for tests of graphs and notes."""

import math

import numpy as np
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from search.choice.constraints import Terms
from search.results.snapshot import Story
from search.results.trial_result import TrialResult

SCRIPT = "<script>alert(1)</script>"


def trial(number=0, state="COMPLETE", stopped="finished", *, val=(0.9, 0.6, 0.5), train=(0.8, 0.4, 0.2), **figures):
    """A trial with these curves, at its best epoch."""
    finite = [loss for loss in val if math.isfinite(loss)]
    best = list(val).index(min(finite)) if finite else None
    at_best = {} if best is None else {
        "val_loss": val[best], "gap": val[best] - train[best], "train_loss": train[best], "val_loss_se": 0.01,
        "gap_se": 0.02, "val_accuracy": 0.875, "fit": "good",
    }  # fmt: skip
    known = {"best_epoch": best, "epochs_run": len(val), "feasible": True} | at_best | figures
    history = {"val_loss": list(val), "train_loss": list(train)}
    return TrialResult(number=number, state=state, stopped=stopped, history=history, **known)


def story(*trials, name="fashion", band=(), max_gap=None, epochs=10, finished=(), **others):
    """A search of these trials; the linear baseline has a loss of 0.7."""
    data = {"name": "FashionMNIST", "classes": ["shirt", "bag"], "shape": [1, 28, 28]}
    data |= {"train_size": 3000, "val_size": 2000} | others.pop("data", {})
    return Story(
        name=name,
        settings={"space": "spaces.cnn"},
        plan={"trials": 24, "epochs": epochs, "out": "runs/fashion"},
        data=data,
        terms=Terms(0.7, max_gap),
        trials=trials,
        finished=tuple(finished),
        runs=(),
        chosen=next((trial.number for trial in trials if trial.chosen), None),
        band=band,
        because="it has the smallest gap",
        **others,
    )


def finished_trials(count=30, first="width"):
    """Trials whose loss follows `first` and whose gap follows augmentation."""
    rng = np.random.default_rng(0)
    distributions = {first: FloatDistribution(8, 64, log=True), "augmentation": FloatDistribution(0.0, 1.0)}
    trials = []
    for _ in range(count):
        params = {first: float(8 * 8 ** rng.random()), "augmentation": float(rng.random())}
        loss, gap = 2 - math.log(params[first]) / 4, 0.5 - 0.5 * params["augmentation"]
        attributes = {"stopped": "finished", "val_loss": loss, "gap": gap}
        trials.append(
            create_trial(
                state=TrialState.COMPLETE,
                values=[loss, gap],
                params=params,
                distributions=distributions,
                user_attrs=attributes,
            )
        )
    return trials
