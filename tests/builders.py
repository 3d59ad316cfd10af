"""Made-up runs, trials and searches, and the places that tests need."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.choice.constraints import Constraints
from search.choice.fit import Fit
from search.choice.rivals import Rivals
from search.choice.run import Run, run_at_best
from search.measurement import History, Measurement
from search.results.schema import SCHEMA, run_attributes, storable_history
from search.results.snapshot import StudySnapshot
from search.results.trial_result import TrialResult
from search.settings import Settings
from search.stopping.stopped import Stopped
from search.training.trial import Job, Outcome

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
RANGES = {"depth": (2, 3), "width": (12, 16), "batch_size": (16, 24), "learning_rate": (5e-3, 1e-2)}
ATTRIBUTES = {  # of a trial that has ended with a result
    *("val_loss", "gap", "train_loss", "train_accuracy", "val_accuracy", "accuracy_gap", "val_loss_se", "gap_se"),
    *("best_epoch", "epochs_run", "fit", "stopped", "parameters", "seconds", "device", "history"),
}
EASY = Constraints(baseline_loss=0.7)
RIVALS = Rivals(baseline=0.75, largest_class=0.5)
DISTRIBUTIONS = {
    "dropout": FloatDistribution(0.0, 0.5),
    "width": IntDistribution(8, 64, log=True),
    "norm": CategoricalDistribution(["batch", SCRIPT]),
}
CONSTANT = {  # figures of an epoch that rarely matter
    "train_accuracy": 0.9,
    "val_accuracy": 0.875,
    "accuracy_gap": 0.025,
    "val_loss_se": 0.01,
    "gap_se": 0.02,
    "val_rise_z": 0.0,
}


def measurement(val_loss=0.5, gap=0.1, **figures) -> Measurement:
    """An epoch with these figures; the others are plausible ones."""
    known = {"train_accuracy": 0.9, "val_accuracy": 0.875, "val_loss_se": 0.01, "gap_se": 0.02} | figures
    return Measurement(train_loss=val_loss - gap, val_loss=val_loss, **known)


def run(number=0, val_loss=0.5, gap=0.1, *, parameters=1000, best_epoch=5, fit=Fit.GOOD, feasible=True, **figures):
    """A run with these figures at its best epoch."""
    return Run(number, measurement(val_loss, gap, **figures), best_epoch, parameters, fit, feasible)


def exact_run(number, val_loss, gap=0.0, *, se=0.0, gap_se=0.0, **known):
    """A run whose figures have no noise, unless some is given."""
    return run(number, val_loss, gap, val_loss_se=se, gap_se=gap_se, **known)


def numbers(runs) -> list[int]:
    """Of runs or trials."""
    return [run.number for run in runs]


def history(val=(0.9, 0.6, 0.5), train=(0.8, 0.4, 0.2), **figures) -> History:
    """The curves of a run; further ones as lists, or as the value that they have all along."""
    known = {"val_loss": list(val), "train_loss": list(train)}
    known["gap"] = [v - t for v, t in zip(val, train, strict=True)]
    others = CONSTANT | figures
    return known | {name: value if isinstance(value, list) else [value] * len(val) for name, value in others.items()}


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
    """A trial with these curves, judged at its best epoch; `known` are further curves, or fields of it or its run.

    Of a running trial pass `stopped=None`.
    """
    of_run = {name: known.pop(name) for name in ("fit", "feasible", "parameters", "best_epoch") if name in known}
    curves = history(
        val, train, **{name: known.pop(name) for name in (*CONSTANT, "val_balanced_accuracy") if name in known}
    )
    best = run_at_best(number, curves, constraints, parameters=1000)
    best = None if best is None else replace(best, **({"fit": Fit.GOOD} | of_run))
    return TrialResult(number=number, state=state, run=best, stopped=stopped, history=curves, **known)


def job(epochs, number=0, **changes) -> Job:
    """A small network to be trained for so many epochs."""
    return Job(number, CONFIG | changes, seed=1, epochs=epochs, lineage=number)


def outcome(number=0, stopped=Stopped.FINISHED, *, constraints=EASY, **known) -> Outcome:
    """What a worker tells of such a trial; `known` are curves, or further fields of the outcome."""
    curves = history(**{name: known.pop(name) for name in ("val", "train", *CONSTANT) if name in known})
    best = run_at_best(number, curves, constraints, parameters=1000)
    return Outcome(number, stopped, run=best, history=curves, **known)


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


def snapshot(*trials, name="fashion", band=(), max_gap=None, epochs=10, rivals=RIVALS, **others) -> StudySnapshot:
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
        rivals=rivals,
        **others,
    )


def nothing_to_draw() -> list[StudySnapshot]:
    """Searches that no graph can show anything of: before the first epoch, and where trials had no result."""
    return [snapshot(), snapshot(trial(0, "RUNNING", None, val=(), train=())), snapshot(trial(0, "FAIL", None))]


def recorded_trial(
    number, stopped=Stopped.FINISHED, val_loss=0.5, gap=0.1, *, fit=Fit.GOOD, epochs=10, **params
) -> FrozenTrial:
    """A trial as a study keeps it; its last epoch is its best. Out of memory, it has curves alone."""
    complete = stopped in (Stopped.FINISHED, Stopped.OVERFIT)
    losses = [val_loss + 0.1 * (epochs - 1 - epoch) for epoch in range(epochs)]
    curves = history(losses, [loss - gap for loss in losses])
    figures = {"val_loss_se": 0.02, "gap_se": 0.03, "val_accuracy": 0.8}
    best = run(number, val_loss, gap, parameters=1234, best_epoch=epochs - 1, fit=fit, **figures)
    attributes = {} if stopped == Stopped.OUT_OF_MEMORY else run_attributes(best)
    attributes |= {"stopped": stopped.value, "epochs_run": epochs, "history": storable_history(curves)}
    return create_trial(
        state=TrialState.COMPLETE if complete else TrialState.PRUNED,
        values=list(best.objectives) if complete else None,
        params={"dropout": 0.25, "width": 8 + 2 * number, "norm": "batch"} | params,
        distributions=DISTRIBUTIONS,
        user_attrs=attributes,
    )


def recorded_trials() -> list[FrozenTrial]:
    """One for each way in which trials of a search end, and a few more."""
    return [
        recorded_trial(0, val_loss=0.50, gap=0.30, dropout=0.1, fit=Fit.TRUE_OVERFIT),
        recorded_trial(1, val_loss=0.52, gap=0.10, dropout=0.4, norm=SCRIPT),
        recorded_trial(2, Stopped.OVERFIT, val_loss=0.60, gap=0.35, dropout=0.05, epochs=6, fit=Fit.PARTIAL_OVERFIT),
        recorded_trial(3, Stopped.HOPELESS, val_loss=0.90, gap=0.01, dropout=0.3, epochs=3),
        recorded_trial(4, val_loss=1.2, gap=0.01, dropout=0.45, fit=Fit.UNDERFIT),
        recorded_trial(5, Stopped.OUT_OF_MEMORY),
    ]


def recorded_study(trials, name="by hand", max_gap=None, chosen=None, storage=None, **attributes) -> optuna.Study:
    """A study with these trials, on digits; the linear baseline has a loss of 1."""
    study = optuna.create_study(study_name=name, storage=storage, directions=["minimize"] * 2)
    study.add_trials(trials)
    comparable = {"dataset": "digits", "image_size": 8, "data_fingerprint": "ab12", "train_size": 400, "val_size": 200}
    comparable |= {"seed": 3, "max_gap": max_gap, "flip": False, "space": "spaces.cnn", "space_fingerprint": None}
    comparable |= {"balance": None, "weights": None}
    known = {
        "schema": SCHEMA,
        "baseline": {"val_loss": 1.0},
        "settings": comparable | {"ranges": {"width": [8, 64]}},
        "plan": {"trials": 20, "epochs": 10, "out": "/home/somebody/runs/mine"},
        "data": {"name": "digits", "classes": ["zero", SCRIPT], "shape": [1, 8, 8], "train_size": 400, "val_size": 200},
        "choice": None if chosen is None else {"trial": chosen, "band": [chosen], "because": "it is the best by hand"},
    }
    for key, value in (known | attributes).items():
        study.set_user_attr(key, value)
    return study


def settings(folder: Path, **changes) -> Settings:
    """Of a small search on digits, all of whose trials are drawn."""
    return Settings(**{
        "name": "digits", "dataset": "digits", "trials": 6, "epochs": 3, "workers": 2, "device": "cpu", "out": folder,
        "train_size": 200, "val_size": 100, "ranges": RANGES, "start": False,
    } | changes)  # fmt: skip


def study_of(folder: Path) -> optuna.Study:
    """The study of such a search, as its run folder holds it."""
    return optuna.load_study(study_name="digits", storage=f"sqlite:///{folder / 'study.db'}")


def best_content(**others):
    """Of a best.yaml of digits, as `export` puts it together."""
    from spaces import cnn  # torch takes seconds

    model = cnn.build(CONFIG, channels=1, image_size=(8, 8), classes=10)
    figures = {"val_loss": 0.1, "val_loss_se": 0.01, "gap": 0.02, "gap_se": 0.01, "train_loss": 0.08,
               "train_accuracy": 0.99, "val_accuracy": 0.97, "accuracy_gap": 0.02, "fit": "good",
               "parameters": sum(p.numel() for p in model.parameters())}  # fmt: skip
    return {
        "study": "digits", "trial": 3, "space": "spaces.cnn", "config": dict(CONFIG), "epochs": 2, "seed": 7,
        "expected": {"loss": 0.13, "loss_interval": [0.1, 0.16], "accuracy": 0.96, "gap": 0.05, "seeds": 2},
        "metrics": figures,
        "choice": {"because": "it is", "over": [1], "stopped": "finished", "baseline_loss": 0.2, "max_gap": None},
        "data": {"name": "digits", "fingerprint": "0" * 16, "classes": list("0123456789"), "image_size": [8, 8],
                 "channels": 1, "mean": [0.3], "std": [0.4], "train_size": 100, "val_size": 50, "seed": 0,
                 "flip": False},
        "environment": {"bf16": False, "channels_last": False, "device": "cpu", "hardware": "x86_64", "threads": 1,
                        "deterministic": True, "python": "3.11.7", "torch": "2.10.0"},
        **others,
    }  # fmt: skip


BRIGHTNESS = """
import torch


class Brightness(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, images):
        level = self.slope * images.mean(dim=(1, 2, 3))
        return torch.stack([-level, level], dim=1)


def suggest(trial):
    return {}


def build(config, *, channels, image_size, classes):
    return Brightness()
"""


def brightness_folder(folder: Path, *, channels=1, size=8, **others) -> Path:
    """A run folder whose network is worked by hand: black gives the classes `dark` and `bright` the logits 2 and -2,
    white the other way round, and grey lies between.
    """
    import torch

    from search.results import best_yaml

    content = best_content(space="brightness.py", config={}, **others)
    content["metrics"]["parameters"] = 1
    content["data"] |= {"classes": ["dark", "bright"], "channels": channels, "image_size": [size, size],
                        "mean": [0.5] * channels, "std": [0.5] * channels}  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "brightness.py").write_text(BRIGHTNESS)
    best_yaml.write(folder, content, {"slope": torch.tensor(2.0)})
    return folder


def confirmation(**others):
    """Of a best.yaml, as `gapsearch confirm --top 2` writes it."""
    figures = {"train_loss": 0.1, "val_loss": 0.24, "test_loss": 0.3, "val_gap": 0.14, "test_gap": 0.2,
               "split_offset": 0.06}  # fmt: skip
    shares = {"val_accuracy": 0.9, "test_accuracy": 0.85}
    fresh = figures | {f"{name}_se": 0.02 for name in figures} | shares | {f"{name}_se": 0.01 for name in shares}
    beside = {"trial": 6, "role": "lowest recorded loss", "recorded_val_loss": 0.19, "recorded_gap": 0.1,
              "test_loss_difference": 0.03, "test_loss_difference_se": 0.01,
              "test_gap_difference": -0.02, "test_gap_difference_se": 0.01}  # fmt: skip
    return {
        "seeds": [1, 2], "openings": 1, "test_images": 360, **fresh, "optimism": 0.04, "optimism_se": 0.015,
        "others": [fresh | beside],
        "classes": [
            {"name": "shirt", "support": 1000, "recall": 0.71, "recall_se": 0.01, "precision": 0.7,
             "precision_se": 0.02, "f1": 0.705},
            {"name": "coat", "support": 9, "recall": 0.8, "recall_se": 0.01, "precision": None, "precision_se": None},
        ],
        "exported_test_loss": 0.31, "exported_test_loss_se": 0.02,
        "exported_test_accuracy": 0.86, "exported_test_accuracy_se": 0.01, **others,
    }  # fmt: skip
