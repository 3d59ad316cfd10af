"""Trials of a space with a parameter of each kind, whose effects are known."""

from typing import Any

import numpy as np
from builders import trial
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search.choice.fit import Fit
from search.results.trial_result import TrialResult

SPACE = {  # a parameter of each kind
    "width": FloatDistribution(8, 64, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
    "augmentation": FloatDistribution(0.0, 1.0),
    "kernel_size": IntDistribution(3, 5, step=2),
    "norm": CategoricalDistribution(["batch", "layer", "none"]),
}
DRAWN = {"width": 20.0, "dropout": 0.2, "augmentation": 0.5, "kernel_size": 3, "norm": "batch"}


def ended(number=0, val_loss=0.5, gap=0.1, *, pruned=False, fit=Fit.GOOD, **known) -> TrialResult:
    """A trial of `SPACE` that was trained for eight epochs; `known` are parameters, or what `trial` takes.

    Its curves are flat unless `val` or `train` is given, and it is feasible unless it underfits.
    """
    params = DRAWN | {name: known.pop(name) for name in SPACE if name in known}
    known = {"val": [val_loss] * 8, "feasible": fit != Fit.UNDERFIT, "gap_se": 0.01} | known
    known.setdefault("train", [loss - gap for loss in known["val"]])
    state = "PRUNED" if pruned else "COMPLETE"
    return trial(number, state, fit=fit, params=params, distributions=SPACE, **known)


def drawn(rng) -> dict[str, Any]:
    """Parameters of `SPACE`."""
    return DRAWN | {
        "width": float(8 * 8 ** rng.random()),
        "dropout": float(rng.uniform(0, 0.5)),
        "augmentation": float(rng.random()),
        "norm": str(rng.choice(["batch", "layer", "none"])),
    }


def ended_trials(gap, val_loss=lambda params: 0.5, *, count=30, seed=0, noise=0.02, **known) -> list[TrialResult]:
    """Trials whose gap and loss follow their parameters, with noise."""
    rng, trials = np.random.default_rng(seed), []
    for number in range(count):
        params = drawn(rng)
        figures = {"gap": gap(params) + rng.normal(0, noise), "val_loss": val_loss(params) + rng.normal(0, noise / 4)}
        trials.append(ended(number, **figures, **params, **known))
    return trials
