"""Longer searches: a start with more epochs goes on with finished runs that were still improving.

Training is anytime, so a run that goes on from its last checkpoint equals one that was that long from its beginning.
The checkpoints of runs that may still be chosen are kept for that.
"""

import contextlib
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from search.choice.run import Run
from search.recording.store import Store
from search.recording.weights import to_be_kept
from search.results.snapshot import StudySnapshot
from search.results.trial_result import TrialResult
from search.show.text import plural
from search.training.tensor_files import DamagedFile, load_tensors
from search.training.trial import Conditions

logger = logging.getLogger(__name__)


class KeptCheckpoints:
    """The last checkpoints of finished runs that may still be chosen and were still improving."""

    def __init__(self, conditions: Conditions, snapshot: StudySnapshot) -> None:
        self._conditions = conditions
        trials = may_go_on(snapshot, snapshot.runs)
        self._paths = {trial.number: _checkpoint(conditions, trial) for trial in trials}  # by the number of the run
        busy = {trial.lineage for trial in snapshot.trials if trial.state in ("WAITING", "RUNNING")}
        spared = {*busy, None}  # None: somebody else's trial
        for trial in snapshot.ended:  # an earlier start may have been killed before it could
            if trial.number not in self._paths and trial.lineage not in spared:
                _checkpoint(conditions, trial).unlink(missing_ok=True)

    def ended(self, trial: TrialResult) -> None:
        """A trial has been recorded: no kill can cost its run any more."""
        path, elsewhere = _checkpoint(self._conditions, trial), self._conditions.checkpoints
        if elsewhere is not None:
            with contextlib.suppress(OSError):  # a leftover does no harm
                elsewhere.remove(path.name)
        if trial.complete and trial.still_improving:
            self._paths[trial.number] = path
        else:
            path.unlink(missing_ok=True)

    def update(self, runs: Sequence[Run]) -> None:
        """Remove those of runs that may not be chosen any more."""
        kept = {run.number for run in to_be_kept(runs, self._conditions.constraints)}
        for number in self._paths.keys() - kept:
            self._paths.pop(number).unlink(missing_ok=True)


def may_go_on(snapshot: StudySnapshot, runs: Iterable[Run]) -> list[TrialResult]:
    """The trials of those runs that were still improving when they finished, and that none has taken further yet."""
    numbers = {run.number for run in runs} - {trial.continues for trial in snapshot.trials}
    return [trial for trial in snapshot.trials if trial.number in numbers and trial.still_improving]


def queue_longer(store: Store, conditions: Conditions, epochs: int) -> int:
    """Queue the runs that go on to so many epochs; returns how many are queued, those of an earlier start included.

    Says how many go on, how many stay as they are since their checkpoints are lost, and where the epochs are fewer
    than before.
    """
    snapshot = store.snapshot()
    longest = max((trial.epochs_run for trial in snapshot.ended), default=0)
    if epochs < longest:
        logger.info(f"runs of up to {longest} epochs stay as they are; from now on each has at most {epochs}")
    shorter = [
        trial
        for trial in may_go_on(snapshot, to_be_kept(snapshot.runs, conditions.constraints))
        if trial.epochs_run < epochs
    ]
    lost = [trial.number for trial in shorter if not _is_sound(_checkpoint(conditions, trial))]
    for trial in shorter:
        if trial.number not in lost:
            store.queue_further(trial.number)
    queued = store.queued_further()
    _say_who_goes_on([trial for trial in snapshot.trials if trial.number in queued], lost, epochs)
    return len(queued)


def _say_who_goes_on(queued: Sequence[TrialResult], lost: Sequence[int], epochs: int) -> None:
    """lost: numbers of the trials that would go on, had they their checkpoints."""
    done = [trial.epochs_run for trial in queued if trial.epochs_run < epochs]
    if done:
        verbs = ("was", "goes") if len(done) == 1 else ("were", "go")
        runs, since = plural(len(done), "finished run"), " or ".join(map(str, sorted(set(done))))
        logger.info(f"{runs} {verbs[0]} still improving and {verbs[1]} on from epoch {since} to {epochs}")
    if lost:
        rest = "stays as it is" if len(lost) == 1 else "stay as they are"
        logger.warning(
            f"{plural(len(lost), 'run')} that could have gone on {rest}, for want of a sound checkpoint: "
            f"{', '.join(f'trial {number}' for number in lost)}"
        )


def _checkpoint(conditions: Conditions, trial: TrialResult) -> Path:
    """Where the last state of an ended trial is, if it is kept."""
    assert trial.lineage is not None
    return conditions.checkpoint(trial.lineage)


def _is_sound(path: Path) -> bool:
    """Whether a checkpoint can be read."""
    try:
        load_tensors(path)
    except DamagedFile:
        return False
    return True
