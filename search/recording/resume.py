"""Resuming: a trial that was interrupted is queued again, once, with the same parameters, seed and checkpoint.

Each configuration has a lineage, its place in the order of drawing. Trials that repeat it after an interruption have
the same one, so an interrupted search trains the same networks as one that was left alone. So have trials that take a
finished one further.
"""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.results.schema import CONTINUES, LINEAGE, QUEUED, REPLACES, START


def next_lineage(study: optuna.Study) -> int:
    """The lineage of the next configuration that is drawn."""
    lineages = [trial.user_attrs.get(LINEAGE, -1) for trial in study.get_trials(deepcopy=False)]
    return 1 + max(lineages, default=-1)


def requeue_running(study: optuna.Study) -> int:
    """Queue again what an earlier start left running, since it was killed; returns how many."""
    trials = study.get_trials(deepcopy=False)
    replaced = {trial.user_attrs.get(REPLACES) for trial in trials}
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    for trial in running:
        if trial.number in replaced:  # it was killed when it had been queued again and not yet ended
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        else:
            put_back(study, trial)
    return len(running)


def put_back(study: optuna.Study, trial: FrozenTrial) -> None:
    """Put a running trial at the end of the queue: another one has its configuration from now on."""
    requeue(study, trial.number, trial.params, trial.user_attrs | _asked_for(trial))
    study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


def requeue(study: optuna.Study, number: int, drawn: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
    """Queue the configuration of a trial again; whoever calls ends the trial.

    One that was interrupted while it was first drawn is dropped: the next trial draws the same parameters.
    """
    params = attributes.get(QUEUED, {}) | drawn  # somebody may have queued some parameters and left others to draw
    marks = {name: attributes[name] for name in (LINEAGE, CONTINUES, START) if name in attributes}
    if LINEAGE in attributes:
        study.enqueue_trial(params, user_attrs=marks | {QUEUED: params, REPLACES: number})
    elif QUEUED in attributes:
        study.enqueue_trial(params, user_attrs=marks | {REPLACES: number})


def queue_further(study: optuna.Study, number: int) -> None:
    """Queue a trial that takes a finished one further. That one is its result until the longer run has one."""
    finished = study.get_trials(deepcopy=False)[number]
    marks = {LINEAGE: finished.user_attrs[LINEAGE], QUEUED: finished.params, CONTINUES: number}
    study.enqueue_trial(finished.params, user_attrs=marks)


def _asked_for(trial: FrozenTrial) -> dict[str, Any]:
    """What somebody has queued from outside, and was not yet drawn."""
    fixed = trial.system_attrs.get("fixed_params")  # under which Optuna keeps the parameters of `enqueue_trial`
    return {QUEUED: fixed} if fixed and QUEUED not in trial.user_attrs else {}
