"""What trackers are told of a trial: its curves, and its figures at the best epoch."""

from search.measurement import History
from search.results.trial_result import TrialResult

CURVES = ("val_loss", "train_loss", "gap", "val_accuracy", "train_accuracy")


def points(history: History, first: int) -> list[dict[str, float]]:
    """One dict of `CURVES` for each epoch from `first` on, as far as curves have come."""
    curves = {name: history[name] for name in CURVES if name in history}
    epochs = min(map(len, curves.values()), default=0)
    return [{name: float(values[epoch]) for name, values in curves.items()} for epoch in range(first, epochs)]


def at_best(trial: TrialResult) -> dict[str, float]:
    """`CURVES` at the best epoch, by names such as `best_val_loss`, and that epoch from 1; empty without a result."""
    if trial.run is None:
        return {}
    figures = trial.run.at_best.as_dict()
    return {f"best_{name}": float(figures[name]) for name in CURVES} | {"best_epoch": trial.run.best_epoch + 1.0}
