"""The trials of a graph in groups, each of which is drawn alike."""

from collections.abc import Sequence

from search.results.trial_result import TrialResult
from search.stopping.stopped import Stopped

MOST_CENSORED = 300  # trials given up before their best that a graph shows: more are not told apart


def by_ending(trials: Sequence[TrialResult]) -> dict[str, list[TrialResult]]:
    """The trials by what ended them; of the hopeless ones the best."""
    groups: dict[str, list[TrialResult]] = {}
    for trial in trials:
        groups.setdefault(trial.ending, []).append(trial)
    if Stopped.HOPELESS in groups:
        groups[Stopped.HOPELESS] = best_of(groups[Stopped.HOPELESS])
    return groups


def best_of(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """Of trials with figures those of lowest validation loss, no more than are told apart."""
    return sorted(trials, key=lambda trial: trial.val_loss or 0.0)[:MOST_CENSORED]
