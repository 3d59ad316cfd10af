"""Asking for the next trial: what its space cannot take is left out, and another one is drawn."""

import logging
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import Trial, TrialState

from search.errors import BadTrial, Unwanted
from search.recording.first_errors import SearchFailed
from search.results.schema import TURNED_DOWN
from search.spaces import Suggest

logger = logging.getLogger(__name__)

FEW_BAD_DRAWS, MOST_BAD_DRAWS = 5, 100  # in a row: before chance draws in place of the sampler, and at most


def next_trial(study: optuna.Study, suggest: Suggest, seed: int) -> tuple[Trial, dict[str, Any]]:
    """The next trial and its configuration; those before it that the space cannot take are told FAIL.

    The sampler learns from these, and after a few in a row chance draws, by `seed`. A trial that somebody has queued
    is none of them. Raises SearchFailed where the space takes nothing that is drawn.
    """
    bad = 0
    while True:
        trial = study.ask()
        try:
            return trial, suggest(trial)
        except BadTrial as error:
            if error.queued or not isinstance(error, Unwanted):
                logger.warning(f"trial {trial.number} is left out: {error}")
            trial.set_user_attr("reason" if error.queued else TURNED_DOWN, str(error))
            bad += not error.queued
            study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
            if bad == MOST_BAD_DRAWS:
                raise SearchFailed(
                    f"{bad} draws in a row were of no use, the last: {error}; a smaller --trials ends with the others"
                ) from error
            if bad == FEW_BAD_DRAWS:
                study.sampler = RandomSampler(seed ^ 1)  # by `seed` itself the first draws would come again
