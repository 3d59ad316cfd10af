"""Names, numbers and places that no search can have."""

import os

import optuna
import pytest

from search.command.cli import main
from search.command.presets import preset
from search.engine.launch import make_folder
from search.errors import BadTrial, UserError
from search.settings import MOST_WORKERS, Settings
from search.spaces import suggester


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"workers": 10**9}, f"--workers is 1000000000; it must be at most {MOST_WORKERS}"),
        ({"seed": 2**32}, "--seed is 4294967296; it must be at most 4294967295"),
        ({"name": ""}, "the study's name is ''"),
        ({"name": "a\x1b[31m"}, r"the study's name is 'a\x1b[31m'"),
        ({"name": "a\udce9"}, "the study's name is "),
        ({"name": "x" * 513}, "the study's name has 513 signs; give it one of at most 512"),
        ({"name": "../up"}, "the study's name ../up leads out of runs/"),
        ({"name": "/etc"}, "the study's name /etc leads out of runs/"),
        ({"storage": ""}, "--storage is no database URL"),
        ({"artifacts": "pictures"}, "--artifacts is no s3://BUCKET or s3://BUCKET/PREFIX; keys"),
        ({"artifacts": ""}, "--artifacts is no s3://BUCKET"),
        ({"artifacts": "s3://KEY:se/cret@bucket"}, "--artifacts is no s3://BUCKET"),
        ({"artifacts": "s3://bucket/a?secret=1"}, "--artifacts is no s3://BUCKET"),
        ({"ray": "local", "checkpoints": "s3://KEY:se/cret@bucket/a"}, "--checkpoints holds a password; leave it out"),
    ],
)
def test_what_no_search_can_have(fields, said):
    with pytest.raises(UserError) as told:
        Settings(**{"name": "s", "dataset": "digits"} | fields)
    assert str(told.value).startswith(said)
    assert "cret" not in str(told.value)


@pytest.mark.parametrize("url", ["s3://bucket/a:b@c", "sftp://me@host/folder", "/shared/a:b@c", "memory://a"])
def test_a_place_without_a_password_is_taken(url):
    assert Settings(name="s", dataset="digits", ray="local", checkpoints=url).checkpoints == url


def test_workers_beyond_the_cores_are_let_be():
    assert Settings(name="s", dataset="digits", workers=64).workers == 64


@pytest.mark.parametrize("out", ["x" * 300, "a\0b"])
def test_a_run_folder_that_cannot_be_made(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="cannot write to --out"):
        make_folder(Settings(name="s", dataset="digits", out=out).folder)


@pytest.mark.parametrize("command", ["list", "best", "report", "dashboard", "train", "confirm", "run"])
def test_an_over_long_name_is_told_in_one_line(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    assert main([command, "x" * 5000]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_folder_whose_name_is_no_text_may_be_searched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir(b"leaves \xe9\x1b")
    study = preset("leaves \udce9\x1b")
    assert study["name"] == "leaves \\udce9\\x1b"
    Settings(**study)


def queued(**params):
    """A trial that somebody has queued with these values."""
    study = optuna.create_study(directions=["minimize"] * 2)
    study.enqueue_trial(params)
    return study.ask()


@pytest.mark.parametrize("params", [{"width": "wide"}, {"depth": None}, {"dropout": float("nan")}, {"depth": [2]}])
def test_a_wrongly_typed_trial_from_outside_names_its_values(params):
    (name,) = params
    with pytest.raises(BadTrial, match=f"trial 0 was queued with {name}=.*, which the space spaces.cnn cannot take"):
        suggester("spaces.cnn", {})(queued(**params))


def test_a_queued_trial_that_fits_is_trained():
    assert suggester("spaces.cnn", {})(queued(depth=3))["depth"] == 3
