"""Databases: odd names of run folders, secrets in URLs, and waiting for one that is locked."""

import contextlib
import logging
import shlex
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pytest
from builders import ROOT, snapshot, trial

from search import Result, Search
from search.command.cli import main
from search.errors import UserError
from search.results.database import VARIABLE, default_storage_url, scrubbed, study_url
from search.results.storage import close, create_study, open_study
from search.settings import Settings
from search.show.summary import summary

SECRETS = [
    "postgresql://me:top%20secret@127.0.0.1:1/x",
    "postgresql://127.0.0.1:1/x?user=me&password=top%20secret",
    "postgresql+none://me:top%20secret@127.0.0.1:1/x",
    "postgresql://me:top%20secret@127.0.0.1:port/x",
    "sqlite://me:top%20secret@127.0.0.1/x",
    "sqlite:///x.db?password=top%20secret&timeout=secret",
    "mssql+pyodbc://?odbc_connect=DSN%3Dmine%3BPWD%3Dtop%20secret",
]


@pytest.mark.parametrize("name", ["q?1", "q#1", "q%31", "q 1", "q{1}", "q:1", "q&1=2", "q[1]", "q\\1", "é"])
def test_a_run_folder_of_any_name_has_its_own_database(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    create_study(default_storage_url(folder), "s")
    assert (folder / "study.db").is_file()
    assert sorted(tmp_path.rglob("*.db")) == [folder / "study.db"]
    assert Settings(name="s", dataset="digits", out=folder).storage_url == default_storage_url(folder)
    assert Result(folder).trials == []


def test_a_name_that_is_no_text(tmp_path):
    with pytest.raises(UserError, match="is no UTF-8; name another one"):
        default_storage_url(tmp_path / "q\udce9")


@pytest.mark.parametrize("url", SECRETS)
@pytest.mark.parametrize("by", ["--storage", VARIABLE])
def test_no_secret_is_shown(tmp_path, monkeypatch, capfd, caplog, url, by):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    monkeypatch.delenv(VARIABLE, raising=False)
    flags = ["--storage", url]
    if by == VARIABLE:
        monkeypatch.setenv(VARIABLE, url)
        flags = []
    assert main(["list", "run", *flags]) == 2
    assert main(["run", "digits", "--out", "run", "--device", "cpu", *flags]) == 2
    shown = "".join(capfd.readouterr()) + caplog.text
    assert "secret" not in shown, shown
    assert all(len(line) < 400 for line in shown.splitlines())


def test_no_secret_in_what_a_driver_says():
    import sqlalchemy

    place = sqlalchemy.engine.make_url("postgresql://me:a%20b@h/x?odbc_connect=DSN%3Dmine%3BPWD%3Dtop")
    assert scrubbed("FATAL: 'a b' for me, PWD is top, a%20b a+b", place) == "FATAL: '***' for me, *** is ***, *** ***"


@pytest.mark.parametrize("url", SECRETS[:2])
def test_no_secret_in_the_last_lines(url):
    lines = summary(snapshot(trial(0)), Path("run"), url)
    assert "secret" not in lines
    assert "gapsearch list run --study fashion  (name the database as for the search)" in lines


def test_the_last_lines_name_a_database_without_secrets():
    last = summary(snapshot(trial(0)), Path("run"), "sqlite:///x.db")
    assert "gapsearch list run --study fashion --storage sqlite:///x.db" in last


def test_a_database_elsewhere_is_named_whether_by_flag_or_by_variable(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    inside = Settings(name="s", dataset="digits", out=tmp_path)
    assert inside.storage_elsewhere is None
    assert Settings(name="s", dataset="digits", out=tmp_path, storage=inside.storage_url).storage_elsewhere is None
    assert Settings(name="s", dataset="digits", out=tmp_path, storage="sqlite:///x.db").storage_elsewhere is not None
    monkeypatch.setenv(VARIABLE, "sqlite:///y.db")
    assert inside.storage_elsewhere == "sqlite:///y.db"


def test_no_secret_where_a_search_is_shown():
    assert "secret" not in repr(Search(name="s", dataset="digits", storage=SECRETS[0]))
    assert "secret" not in repr(Result("run", SECRETS[0]))


def test_the_variable_stands_in_for_the_flag(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "sqlite:///elsewhere.db")
    assert study_url(tmp_path, None) == "sqlite:///elsewhere.db"
    assert study_url(tmp_path, "sqlite:///flag.db") == "sqlite:///flag.db"
    monkeypatch.setenv(VARIABLE, "")
    assert study_url(tmp_path, None) == default_storage_url(tmp_path)


@pytest.mark.parametrize("command", ["run digits", "list"])
def test_help_names_the_variable(command, capsys):
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    assert VARIABLE in capsys.readouterr().out


@pytest.mark.parametrize("url", ["", "sqlite", "sqlite:///x.db?timeout=soon", "postgresql://h:port/x"])
def test_what_is_no_url_is_told_before_anything_is_trained(tmp_path, url):
    with pytest.raises(UserError, match=r"--storage .*; write for example sqlite:///runs/digits/study\.db"):
        create_study(Settings(name="s", dataset="digits", out=tmp_path, storage=url).storage_url, "s")


def test_the_log_of_a_small_database_stays_small(tmp_path):
    """A disk of 4 MB was filled by it, and then no start could go on."""
    study = create_study(default_storage_url(tmp_path), "s")
    for number in range(600):
        study.set_user_attr("curve", "x" * 1000 + str(number))
    assert 0 < (tmp_path / "study.db-wal").stat().st_size < 1.5 * 2**20


def test_a_search_that_has_ended_leaves_a_database_that_others_can_read(tmp_path):
    url, file = default_storage_url(tmp_path), tmp_path / "study.db"
    study = create_study(url, "s")
    assert _journal(file) == "wal"
    close(study)
    assert _journal(file) == "delete"
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]
    again = create_study(url, "s")
    with contextlib.closing(sqlite3.connect(file)) as reader:
        reader.execute("begin")
        reader.execute("select * from studies").fetchall()
        began = time.monotonic()
        close(again)  # as it is, while somebody reads
        assert time.monotonic() - began < 5
    assert _journal(file) == "wal"


def _journal(file):
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return connection.execute("pragma journal_mode").fetchone()[0]


@pytest.fixture
def locked(tmp_path):
    """A function that has another connection hold a database for so many seconds; and its URL."""
    url = default_storage_url(tmp_path)
    create_study(url, "s")
    holder = sqlite3.connect(tmp_path / "study.db", isolation_level=None, check_same_thread=False)

    def hold(seconds=None):
        holder.execute("BEGIN EXCLUSIVE")
        holder.execute("UPDATE studies SET study_name = study_name")
        if seconds is not None:
            threading.Timer(seconds, holder.rollback).start()
        return url

    yield hold
    time.sleep(0.1)
    holder.close()


def test_a_start_says_what_it_waits_for(locked, caplog):
    with caplog.at_level(logging.INFO, logger="search"):
        study = create_study(locked(2.5), "another")
        study.set_user_attr("after", 1)
    assert study.user_attrs == {"after": 1}
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert said[0].startswith("waiting for sqlite:///")
    assert said[0].endswith("study.db: another process holds it")


def test_a_lock_that_lasts_is_named(locked, monkeypatch):
    monkeypatch.setattr("search.results.storage.WRITER_SECONDS", 1.5)
    with pytest.raises(UserError) as told:
        create_study(locked(), "another")
    assert "another process holds it all the time; end that one and start again" in str(told.value)
    assert "typically" not in str(told.value)


def test_readers_are_not_kept_waiting(locked):
    """The search writes ahead, so a lock for writing keeps nobody from reading."""
    with open_study(locked(), None) as study:
        assert study.study_name == "s"


def test_ctrl_c_ends_a_start_that_waits(locked, tmp_path):
    locked()
    command = f"{sys.executable} -m search run digits --out {shlex.quote(str(tmp_path))} --device cpu --workers 1"
    process = subprocess.Popen(
        shlex.split(command), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    output = ""
    while "waiting for" not in output:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        output += line
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert (process.returncode, errors) == (130, "interrupted\n")


def test_optuna_reads_what_is_written_with_patience(tmp_path):
    url = default_storage_url(tmp_path)
    study = create_study(url, "s")
    study.tell(study.ask(), [1.0, 2.0])
    assert optuna.load_study(study_name="s", storage=url).trials[0].values == [1.0, 2.0]
