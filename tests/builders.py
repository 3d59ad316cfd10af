"""Made-up runs, trials and searches, and the places that tests need."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from optuna.distributions import FloatDistribution

from search.choice.constraints import Constraints
from search.choice.fit import Fit
from search.choice.run import Run, run_at_best
from search.measurement import History, Measurement
from search.results.snapshot import StudySnapshot
from search.results.trial_result import TrialResult
from search.stopping.stopped import Stopped

ROOT = Path(__file__).parent.parent  # of the repository
SCRIPT = "<script>alert(1)</script>"
CONFIG = {
    "depth": 2,
    "width": 8,
    "kernel_size": 3,
    "dropout": 0.1,
    "weight_decay": 0.01,
    "batch_size": 64,
    "augmentation": 0.2,
    "learning_rate": 5e-3,
}
EASY = Constraints(baseline_loss=0.7)


def measurement(val_loss=0.5, gap=0.1, **figures) -> Measurement:
    """An epoch with these figures; the others are plausible ones."""
    known = {"train_accuracy": 0.9, "val_accuracy": 0.875, "val_loss_se": 0.01, "gap_se": 0.02} | figures
    return Measurement(train_loss=val_loss - gap, val_loss=val_loss, **known)


def run(number=0, val_loss=0.5, gap=0.1, *, parameters=1000, best_epoch=5, fit=Fit.GOOD, feasible=True, **figures):
    """A run with these figures at its best epoch."""
    return Run(number, measurement(val_loss, gap, **figures), best_epoch, parameters, fit, feasible)


def history(val=(0.9, 0.6, 0.5), train=(0.8, 0.4, 0.2), **curves) -> History:
    """The curves of a run; those not given are constant."""
    known = {"val_loss": list(val), "train_loss": list(train)}
    known["gap"] = [v - t for v, t in zip(val, train, strict=True)]
    constant = {"train_accuracy": 0.9, "val_accuracy": 0.875, "accuracy_gap": 0.025, "val_loss_se": 0.01}
    constant |= {"gap_se": 0.02, "val_rise_z": 0.0}
    return known | {name: [value] * len(val) for name, value in constant.items()} | curves


def trial(
    number=0,
    state="COMPLETE",
    stopped=Stopped.FINISHED,
    *,
    val=(0.9, 0.6, 0.5),
    train=(0.8, 0.4, 0.2),
    constraints=EASY,
    **known,
) -> TrialResult:
    """A trial with these curves, judged at its best epoch; `known` are further fields of it or of its run.

    Of a running trial pass `stopped=None`.
    """
    of_run = {name: known.pop(name) for name in ("fit", "feasible", "parameters", "best_epoch") if name in known}
    curves = history(val, train)
    best = run_at_best(number, curves, constraints, parameters=1000)
    best = None if best is None else replace(best, **({"fit": Fit.GOOD} | of_run))
    return TrialResult(number=number, state=state, run=best, stopped=stopped, history=curves, **known)


def drawn_trials(count=30, first="width") -> list[TrialResult]:
    """Trials whose loss follows `first` and whose gap follows augmentation."""
    rng = np.random.default_rng(0)
    distributions = {first: FloatDistribution(8, 64, log=True), "augmentation": FloatDistribution(0.0, 1.0)}
    trials = []
    for number in range(count):
        params = {first: float(8 * 8 ** rng.random()), "augmentation": float(rng.random())}
        loss, gap = 2 - math.log(params[first]) / 4, 0.5 - 0.5 * params["augmentation"]
        constraints = Constraints(baseline_loss=3.0)
        drawn = trial(number, val=(loss,), train=(loss - gap,), constraints=constraints)
        trials.append(replace(drawn, params=params, distributions=distributions))
    return trials


def snapshot(*trials, name="fashion", band=(), max_gap=None, epochs=10, **others) -> StudySnapshot:
    """A search of these trials; the linear baseline has a loss of 0.7."""
    data = {"name": "FashionMNIST", "classes": ["shirt", "bag"], "shape": [1, 28, 28]}
    data |= {"train_size": 3000, "val_size": 2000} | others.pop("data", {})
    return StudySnapshot(
        name=name,
        settings={"space": "spaces.cnn"},
        plan={"trials": 24, "epochs": epochs, "out": "runs/fashion"},
        data=data,
        constraints=Constraints(0.7, max_gap),
        trials=trials,
        chosen=next((trial.number for trial in trials if trial.chosen), None),
        band=band,
        because="it has the smallest gap",
        **others,
    )


def best_content(**others):
    """Of a best.yaml of digits, as `export` puts it together."""
    from spaces import cnn  # torch takes seconds

    model = cnn.build(CONFIG, channels=1, image_size=(8, 8), classes=10)
    figures = {"val_loss": 0.1, "val_loss_se": 0.01, "gap": 0.02, "gap_se": 0.01, "train_loss": 0.08,
               "train_accuracy": 0.99, "val_accuracy": 0.97, "accuracy_gap": 0.02, "fit": "good",
               "parameters": sum(p.numel() for p in model.parameters())}  # fmt: skip
    return {
        "study": "digits", "trial": 3, "space": "spaces.cnn", "config": dict(CONFIG), "epochs": 2, "seed": 7,
        "metrics": figures,
        "choice": {"because": "it is", "over": [1], "stopped": "finished", "baseline_loss": 0.2, "max_gap": None},
        "data": {"name": "digits", "fingerprint": "0" * 16, "classes": list("0123456789"), "image_size": [8, 8],
                 "channels": 1, "mean": [0.3], "std": [0.4], "train_size": 100, "val_size": 50, "seed": 0,
                 "flip": False},
        "environment": {"bf16": False, "channels_last": False, "device": "cpu", "hardware": "x86_64", "threads": 1,
                        "deterministic": True, "python": "3.11.7", "torch": "2.10.0"},
        **others,
    }  # fmt: skip
