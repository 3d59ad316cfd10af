"""Why trials ended, and how many epochs that saved."""

from collections import Counter
from dataclasses import dataclass

from search.results.snapshot import StudySnapshot
from search.stopping.stopped import Stopped


@dataclass(frozen=True)
class Stops:
    """The ended trials that one cause stopped."""

    ending: str  # a value of `Stopped`
    trials: int
    trained: int  # epochs
    saved: int  # epochs, of those planned: by a rule, since a fault saves nothing


def stops(snapshot: StudySnapshot) -> list[Stops]:
    """For each cause that occurred, most frequent first."""
    ended, planned = snapshot.ended, snapshot.planned_epochs
    counts, trained, saved = Counter(trial.ending for trial in ended), Counter[str](), Counter[str]()
    for trial in ended:
        trained[trial.ending] += trial.epochs_run
        saved[trial.ending] += (trial.epochs_planned or planned) - trial.epochs_run
    return [
        Stops(ending, count, trained[ending], saved[ending] if _saves(ending) else 0)
        for ending, count in counts.most_common()
    ]


def _saves(ending: str) -> bool:
    return ending in [stopped for stopped in Stopped if stopped.saves]
