"""All that graphs, notes and the report tell of a search, read from its study at one moment.

Without torch, which takes seconds to import.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.choice.constraints import Terms
from search.choice.run import Run
from search.results.trial_result import TrialResult, complete_runs, terms_of, trial_results


@dataclass(frozen=True)
class Story:
    """One moment of a search.

    settings: what all its runs have in common, by flag (`Settings.comparable`). plan: the last start's `trials`,
    `epochs` and `out` (run folder as given). data: `name`, `classes` (names), `shape` (channels, height, width),
    `train_size`, `val_size`. terms: linear baseline and ceiling. trials: all of them, by number; curves are in
    `TrialResult.history`. finished: Optuna's COMPLETE and PRUNED ones. runs: the results of the COMPLETE ones.
    chosen: number of the trial chosen at present, None where nothing may be. band: the trials that noise cannot tell
    from the best. because: why it was chosen. Before the first start has settled anything, mappings are empty.
    """

    name: str
    settings: Mapping[str, Any]
    plan: Mapping[str, Any]
    data: Mapping[str, Any]
    terms: Terms
    trials: tuple[TrialResult, ...]
    finished: tuple[FrozenTrial, ...]
    runs: tuple[Run, ...]
    chosen: int | None = None
    band: tuple[int, ...] = ()
    because: str | None = None


def read_story(study: optuna.Study) -> Story:
    """What the study says now."""
    stored = study.user_attrs
    choice = stored.get("choice") or {}
    return Story(
        name=study.study_name,
        settings=stored.get("settings", {}),
        plan=stored.get("plan", {}),
        data=stored.get("data", {}),
        terms=terms_of(study),
        trials=tuple(trial_results(study)),
        finished=tuple(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))),
        runs=tuple(complete_runs(study)),
        chosen=choice.get("trial"),
        band=tuple(choice.get("band", ())),
        because=choice.get("because"),
    )
