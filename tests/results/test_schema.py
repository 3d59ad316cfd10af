"""What a study holds is what a search has found; and a study that was recorded in another way is not misread."""

import json
import math

import optuna
import pytest
from builders import history, run, settings

from search.choice.fit import Fit
from search.command.cli import main
from search.engine.launch import run_search
from search.errors import UserError
from search.results.schema import (
    SCHEMA,
    StudyAttribute,
    check_schema,
    run_attributes,
    storable_history,
    stored_history,
    stored_run,
)


def through_the_database(content):
    return json.loads(json.dumps(content, allow_nan=False))


@pytest.mark.parametrize("fit", Fit)
@pytest.mark.parametrize("feasible", [True, False])
def test_a_run_comes_back_as_it_was_recorded(fit, feasible):
    found = run(3, 1 / 3, -1 / 7, best_epoch=11, parameters=12345, fit=fit, feasible=feasible)
    attributes = through_the_database(run_attributes(found))
    assert stored_run(3, attributes, feasible=feasible) == found
    assert (attributes["gap"], attributes["accuracy_gap"]) == (found.at_best.gap, found.at_best.accuracy_gap)


def test_curves_come_back_to_six_digits_and_what_is_not_finite_as_no_number():
    stored = stored_history(
        {"history": through_the_database(storable_history(history([0.12345678, math.inf, math.nan])))}
    )
    assert stored["val_loss"][0] == 0.123457
    assert [math.isnan(value) for value in stored["gap"]] == [False, True, True]
    assert stored["val_accuracy"] == [0.875] * 3
    assert stored_history({}) == {}


def recorded_by_another_version(url, schema):
    """A study of which another version of gapsearch has recorded something."""
    study = optuna.create_study(storage=url, study_name="digits", directions=["minimize", "minimize"])
    study.set_user_attr(StudyAttribute.SETTINGS, {"dataset": "digits"})
    if schema is not None:  # the first one had no number
        study.set_user_attr(StudyAttribute.SCHEMA, schema)
    return study


@pytest.mark.parametrize(("schema", "named"), [(None, 1), (SCHEMA - 1, SCHEMA - 1), (SCHEMA + 1, SCHEMA + 1)])
def test_a_study_of_another_schema_is_refused(schema, named):
    with pytest.raises(UserError, match=f"recorded with schema {named} and this .* reads schema {SCHEMA}; use the"):
        check_schema(recorded_by_another_version(None, schema))


def test_a_study_of_this_schema_and_one_without_a_start_are_not():
    check_schema(recorded_by_another_version(None, SCHEMA))
    check_schema(optuna.create_study())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run folder that another version has left."""
    folder = tmp_path_factory.mktemp("another")
    recorded_by_another_version(f"sqlite:///{folder / 'study.db'}", SCHEMA + 1)
    return folder


@pytest.mark.parametrize("command", ["list", "report"])
def test_commands_that_read_it_say_so_in_one_line(folder, command, capsys):
    assert main([command, str(folder)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: the study digits was recorded with schema")
    assert said.err.count("\n") == 1


def test_a_search_does_not_go_on_with_it(folder):
    with pytest.raises(UserError, match="the study digits was recorded with schema"):
        run_search(settings(folder))
    study = optuna.load_study(study_name="digits", storage=f"sqlite:///{folder / 'study.db'}")
    assert study.user_attrs == {"settings": {"dataset": "digits"}, "schema": SCHEMA + 1}
    assert study.trials == []
