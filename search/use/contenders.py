"""The configurations that a confirmation trains: the chosen one, and those of its study that it is held against."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search.errors import UserError, described
from search.insight.runners_up import runners_up
from search.results.best_yaml import Best
from search.results.snapshot import StudySnapshot, read_snapshot
from search.results.storage import open_study, storage_url
from search.show.text import plural
from search.use.fresh import Candidate

logger = logging.getLogger(__name__)

CHOICE = "choice"


@dataclass(frozen=True)
class Contender:
    """One configuration, and what the search recorded of it."""

    candidate: Candidate
    role: str  # what it is: the choice, the lowest recorded loss, a runner-up
    val_loss: float  # as recorded, in nats
    gap: float


def contenders(path: Path, best: Best, top: int, storage: str | None) -> Sequence[Contender]:
    """The chosen configuration of a best.yaml, and `top - 1` others of its study where it has so many.

    storage: URL of the study's database, see `storage_url`. Raises UserError where others are asked for and the study
    is not there, or best.yaml is not of it.
    """
    chosen = Candidate(best.trial, best.config, best.epochs)
    field = [Contender(chosen, CHOICE, best.metrics["val_loss"], best.metrics["gap"])]
    if top == 1:
        return field
    snapshot = _snapshot(path.parent, best, storage)
    if best.trial >= len(snapshot.trials) or snapshot.trials[best.trial].config != best.config:
        raise UserError(f"{path} is not of the study in its run folder; pass --top 1, or name the one that is")
    for trial, role in runners_up(snapshot, best.trial, top - 1):
        assert trial.run is not None
        candidate = Candidate(trial.number, trial.config, trial.run.best_epoch + 1)
        field.append(Contender(candidate, role, trial.run.at_best.val_loss, trial.run.at_best.gap))
    if len(field) < top:
        logger.info(f"--top {top}: no more than {plural(len(field) - 1, 'other trial')} may be chosen")
    return field


def write_report_anew(path: Path, best: Best, storage: str | None) -> str:
    """Write the report of the run folder that best.yaml is in. Where it is, or why it is not: the figures are safe."""
    from search.show.report import write_report  # plotly takes a second to import

    try:
        return str(write_report(path.parent, _snapshot(path.parent, best, storage)))
    except UserError as error:
        return f"not written: {error}"
    except Exception as error:
        return f"not written: {described(error)}"


def _snapshot(folder: Path, best: Best, storage: str | None) -> StudySnapshot:
    with open_study(storage_url(folder, storage), best.study) as study:
        return read_snapshot(study)
