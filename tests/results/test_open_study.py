"""Databases that are there, or not, or hold something else."""

import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from search.errors import UserError
from search.results.storage import create_study, open_storage, open_study, storage_url


def url(folder):
    return f"sqlite:///{folder / 'study.db'}"


def refused(call, *arguments):
    """What a call says of bad input."""
    with pytest.raises(UserError) as caught, call(*arguments):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_study_is_made_once_and_found_again(tmp_path):
    create_study(url(tmp_path), "digits").set_user_attr("schema", 2)
    assert create_study(url(tmp_path), "digits").user_attrs == {"schema": 2}
    with open_study(url(tmp_path), None) as study:  # the only one
        assert (study.study_name, len(study.directions)) == ("digits", 2)


def test_a_reader_need_not_wait_for_the_search(tmp_path):
    create_study(url(tmp_path), "digits")
    with closing(sqlite3.connect(tmp_path / "study.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_of_several_studies_one_must_be_named(tmp_path):
    for name in ("digits", "mnist"):
        create_study(url(tmp_path), name)
    with open_study(url(tmp_path), "mnist") as study:
        assert study.study_name == "mnist"
    assert refused(open_study, url(tmp_path), None) == (
        "the database holds 2 studies: digits, mnist; name one with --study"
    )
    assert refused(open_study, url(tmp_path), "svhn") == "the database holds no study svhn, but digits, mnist"


def test_a_database_that_is_not_there_is_not_made_by_reading(tmp_path):
    assert refused(open_storage, url(tmp_path)).startswith(f"there is no {tmp_path / 'study.db'}; name the folder")
    assert not (tmp_path / "study.db").exists()


def test_a_database_without_a_study(tmp_path):
    create_study(url(tmp_path), "digits")
    with closing(sqlite3.connect(tmp_path / "study.db")) as database:
        database.execute("DELETE FROM studies")
        database.commit()
    assert refused(open_study, url(tmp_path), None) == "the database holds no study"


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "study.db").write_text("not a database, though it is long enough for the header of one" * 10)
    assert "file is not a database" in refused(open_study, url(tmp_path), None)


@pytest.mark.parametrize(
    ("url", "said", "cause"),
    [
        ("nosuch://me:secret@host/db", "cannot open the storage nosuch://me:***@host/db: ", "plugin"),
        ("sqlite:////nowhere/study.db", "cannot open the storage sqlite:////nowhere/study.db: ", "unable to open"),
    ],
)
def test_a_search_that_cannot_be_recorded_says_why_and_shows_no_password(url, said, cause):
    refusal = refused(create_study, url, "digits")
    assert refusal.startswith(said)
    assert cause in refusal
    assert "--storage" in refusal


def test_where_a_study_is_kept(tmp_path):
    assert storage_url(tmp_path, None) == url(tmp_path)
    assert storage_url(tmp_path, "mysql://host/db") == "mysql://host/db"
    with pytest.raises(UserError, match="there is no folder nowhere; name a run folder"):
        storage_url(Path("nowhere"), "mysql://host/db")


@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "maximize"], ["minimize", "minimize"]])
def test_a_study_of_another_program_is_left_alone(tmp_path, directions):
    study = optuna.create_study(storage=url(tmp_path), study_name="digits", directions=directions)
    if len(directions) == 2 and directions[1] == "minimize":
        study.add_trial(optuna.trial.create_trial(values=[0.1, 0.2]))
    assert "the study digits in " in (said := refused(create_study, url(tmp_path), "digits"))
    assert "is of another program; take another database, or another name" in said
    assert study.user_attrs == {}


def test_trials_queued_before_the_first_start_are_ours(tmp_path):
    study = optuna.create_study(storage=url(tmp_path), study_name="digits", directions=["minimize", "minimize"])
    study.enqueue_trial({"width": 16})
    assert len(create_study(url(tmp_path), "digits").trials) == 1
