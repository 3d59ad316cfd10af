"""The attributes under which a study and its trials keep what a search finds.

A trial's attributes are flat, one for each figure, since the dashboard lists them: `val_loss`, `gap`, `best_epoch`, ...
"""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import optuna

from search.choice.fit import Fit
from search.choice.run import Run
from search.errors import UserError
from search.measurement import History, Measurement

SCHEMA = 2  # raised where an attribute changes its name or its meaning


class StudyAttribute(StrEnum):
    """The user attributes of a study."""

    SCHEMA = "schema"
    IDENTITY = "identity"  # id: tells this study from another one of the same name
    SETTINGS = "settings"  # what all runs have in common, see `search.settings.Settings.comparable`
    PLAN = "plan"  # of the last start, see `search.results.snapshot.StudySnapshot`
    # name, classes, shape (channels, height, width), train_size, val_size, train_counts and val_counts (by class)
    DATA = "data"
    BASELINE = "baseline"  # val_loss, val_accuracy, l2
    PRECISION = "precision"  # bf16, channels_last
    # trial, band (numbers), because, race (`choice.race.Placed`), expected, unrecognized (names of classes); None
    CHOICE = "choice"  # without a choice
    OWNER = "owner"  # the search that runs on it, see `search.recording.owner.Sign`; None once it has ended
    FOLDER = "folder"  # the run folder, absolute: where the files lie that the trials tell of
    ARTIFACTS = "artifacts"  # the URL of the bucket that holds the pictures of trials; missing for the run folder
    START = "start"  # what is tried first: the parameters of each, by its name, in that order
    REPEATS = "repeats"  # a list of `search.choice.seed_noise.Repeat`: trainings of the race


CURVES = {"train_loss", "val_loss", "gap"}  # in every trial's `history`, which is kept under that name
LINEAGE = "lineage"  # of a trial: the place of its configuration in the order of drawing, from 0
QUEUED = "queued"  # of a trial that was queued again: all parameters that it has to draw
REPLACES = "replaces"  # likewise: the number of the interrupted trial
CONTINUES = "continues"  # of a trial that takes a finished one further, for more epochs: the number of that one
TURNED_DOWN = "turned_down"  # of a trial that its space could not make a configuration of: why
START = "start"  # of a trial that is tried first: where its configuration comes from, its name in the study's START
FROM_BEST = "best.yaml"  # that name where `--start-from` gave it


def check_schema(study: optuna.Study) -> None:
    """Raise UserError where another version of gapsearch has recorded the study in another way."""
    recorded = study.user_attrs.get(StudyAttribute.SCHEMA, 1)
    if study.user_attrs and recorded != SCHEMA:
        raise UserError(
            f"the study {study.study_name} was recorded with schema {recorded} and this version of gapsearch reads "
            f"schema {SCHEMA}; use the version that recorded it, or start anew with another --out"
        )


def run_attributes(run: Run) -> dict[str, Any]:
    """The attributes of a trial that say what its run came to."""
    return run.at_best.as_dict() | {
        "best_epoch": run.best_epoch,
        "parameters": run.parameters,
        "fit": run.fit.value,
    }


def stored_run(number: int, attributes: Mapping[str, Any], *, feasible: bool) -> Run:
    """The run behind `run_attributes`."""
    figures = {name: [attributes[name]] for name in Measurement.__dataclass_fields__ if name in attributes}
    return Run(
        number=number,
        at_best=Measurement.at(figures, 0),
        best_epoch=int(attributes["best_epoch"]),
        parameters=int(attributes["parameters"]),
        fit=Fit(attributes["fit"]),
        feasible=feasible,
    )


def storable_history(history: History) -> dict[str, list[float | None]]:
    """Six digits; None for what JSON has no word for."""
    return {
        name: [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]
        for name, values in history.items()
    }


def stored_history(attributes: Mapping[str, Any]) -> History:
    """The curves behind `storable_history`; NaN where a value was not finite. Raises ValueError for damaged ones."""
    stored = attributes.get("history", {})
    if stored and (not stored.keys() >= CURVES or len({len(values) for values in stored.values()}) > 1):
        raise ValueError("curves that do not belong together")
    return {name: [math.nan if value is None else value for value in values] for name, values in stored.items()}
