"""A search as its run folder shows it: while it runs, and once it has ended."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from search.errors import UserError
from search.results.best_yaml import Best, load
from search.results.snapshot import read_snapshot
from search.results.storage import open_study, storage_url
from search.results.trial_result import TrialResult

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Result:
    """What a search has found; every access reads anew."""

    folder: Path  # the run folder, as a string too
    # URL of the database; None for that in GAPSEARCH_STORAGE, or else study.db in the folder. It may hold a password
    storage: str | None = field(default=None, repr=False)
    study: str | None = None  # its name, needed where the database holds several

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))

    @property
    def best(self) -> Best | None:
        """The chosen configuration; None where nothing may be chosen, or the search has not ended yet."""
        path = self.folder / "best.yaml"
        return load(path) if os.path.lexists(path) else None

    @property
    def trials(self) -> list[TrialResult]:
        """All trials, by number. Raises UserError where there is no study to read."""
        with open_study(storage_url(self.folder, self.storage), self.study) as study:
            return list(read_snapshot(study).trials)

    def to_dataframe(self) -> "pandas.DataFrame":
        """All trials by number, a row each: `TrialResult.figures`, and `params_NAME` for each parameter.

        Raises UserError where there is no study to read, or no pandas.
        """
        try:
            import pandas
        except ImportError:
            raise UserError("to_dataframe() needs pandas; pip install 'gapsearch[pandas]'") from None
        return pandas.DataFrame(
            [
                trial.figures() | {f"params_{name}": value for name, value in trial.params.items()}
                for trial in self.trials
                if not trial.replaced
            ]
        )
