"""What a search has found, read from its run folder: while it runs, and once it has ended.

Without torch, which takes seconds to import.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from search.results.best_yaml import Best, load

if TYPE_CHECKING:
    pass
from search.results.storage import database_url, opened
from search.results.trial_result import TrialResult, trial_results


@dataclass(frozen=True)
class Result:
    """A search as its run folder shows it now; every access reads anew.

    folder: the run folder, as a string too. storage: URL of the database, None for study.db in the folder.
    study: its name, needed where the database holds several.
    """

    folder: Path
    storage: str | None = None
    study: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))

    @property
    def best(self) -> Best | None:
        """The chosen configuration; None where nothing may be chosen, or the search has not ended yet."""
        path = self.folder / "best.yaml"
        return load(path) if path.exists() else None

    @property
    def trials(self) -> list[TrialResult]:
        """All trials, by number. Raises UserError where there is no study to read."""
        with opened(database_url(self.folder, self.storage), self.study) as study:
            return trial_results(study)
