"""The trials that a choice is held against."""

from collections.abc import Sequence

from search.results.snapshot import StudySnapshot
from search.results.trial_result import TrialResult

LOWEST, RUNNER_UP = "lowest recorded loss", "runner-up"


def runners_up(snapshot: StudySnapshot, chosen: int, most: int) -> Sequence[tuple[TrialResult, str]]:
    """At most that many feasible trials beside the chosen one, and what each is.

    First the one with the lowest recorded loss. Then the finalists of the race by their mean loss, those first that did
    not drop out; then the others by their recorded loss.
    """
    feasible = [trial for trial in snapshot.trials if trial.complete and trial.run is not None and trial.run.feasible]
    if not feasible or most < 1:
        return []
    by_loss = sorted(feasible, key=lambda trial: (trial.val_loss, trial.number))
    race = {one["trial"]: one for one in snapshot.race}

    def place(trial: TrialResult) -> tuple[bool, bool, bool, float]:
        raced = race.get(trial.number)
        if raced is None or raced["val_loss"] is None:
            return trial is not by_loss[0], True, True, trial.val_loss or 0.0
        return trial is not by_loss[0], False, not raced["left"], raced["val_loss"]

    others = sorted((trial for trial in by_loss if trial.number != chosen), key=place)[:most]
    lowest = [(trial, LOWEST) for trial in others if trial is by_loss[0]]
    after = [trial for trial in others if trial is not by_loss[0]]
    return [*lowest, *((trial, f"{RUNNER_UP} {n}" if n > 1 else RUNNER_UP) for n, trial in enumerate(after, start=1))]
