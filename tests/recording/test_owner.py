"""Which search a study belongs to; and a study or a run folder that goes away while it is searched."""

import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict

import optuna
import pytest

from search.engine.launch import run_search
from search.engine.runner import Runner
from search.errors import UserError
from search.recording import owner
from search.recording.owner import Sign, claim
from search.recording.store import Store
from search.results.database import default_storage_url
from search.results.schema import StudyAttribute
from search.settings import Settings

SMALL = {"name": "s", "dataset": "digits", "trials": 40, "epochs": 60, "workers": 1, "device": "cpu",
         "train_size": 100, "val_size": 50}  # fmt: skip
IMPORTED = time.time()


@pytest.fixture
def shared(tmp_path):
    """A study in a database beside two run folders: its URL, and the folders."""
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        (folder / "weights").mkdir(parents=True)
    return f"sqlite:///{tmp_path / 'shared.db'}", *folders


def sign(**known):
    """Of another search on this machine, which has just shown itself."""
    return asdict(Sign(socket.gethostname(), os.getppid(), "another", time.time())) | known


def test_while_it_runs_no_other_search_may_have_it(shared):
    url, a, _ = shared
    study = Store(url, "s", seed=0).study
    here = f"process {os.getpid()} on {socket.gethostname()}; wait for it"
    with claim(study, a, url), pytest.raises(UserError, match=here):
        claim(Store(url, "s", seed=0).study, a, url)
    with claim(study, a, url):
        pass
    assert study.user_attrs[StudyAttribute.OWNER] is None


@pytest.mark.parametrize(
    ("other", "refused"),
    [
        (sign(), True),
        (sign(host="elsewhere"), True),
        (sign(host="elsewhere", beat=time.time() - 61), False),
        (sign(beat=time.time() - 61), False),
        (sign(process=os.getpid()), False),  # the number came again: nobody of this process has that token
    ],
)
def test_a_living_search_is_left_alone_and_a_dead_one_taken_over(shared, other, refused):
    url, a, _ = shared
    study = Store(url, "s", seed=0).study
    if other["beat"] > IMPORTED - 60:
        other = other | {"beat": time.time()}  # parameters are made long before
    study.set_user_attr(StudyAttribute.OWNER, other)
    if refused:
        with pytest.raises(UserError, match=f"process {other['process']} on {other['host']}"):
            claim(study, a, url)
    else:
        claim(study, a, url).release()


def test_a_process_that_has_gone_is_taken_over_at_once(shared):
    url, a, _ = shared
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    study = Store(url, "s", seed=0).study
    study.set_user_attr(StudyAttribute.OWNER, sign(process=gone.pid))
    claim(study, a, url).release()


def test_a_beat_is_recorded_when_it_is_due(shared, monkeypatch):
    url, a, _ = shared
    study = Store(url, "s", seed=0).study
    with claim(study, a, url) as mine:
        first = study.user_attrs[StudyAttribute.OWNER]["beat"]
        mine.beat()
        assert study.user_attrs[StudyAttribute.OWNER]["beat"] == first
        monkeypatch.setattr(mine, "due", 0.0)
        mine.beat()
        assert study.user_attrs[StudyAttribute.OWNER]["beat"] > first


def test_one_that_was_taken_over_ends_and_leaves_the_other_alone(shared):
    url, a, _ = shared
    study = Store(url, "s", seed=0).study
    mine = claim(study, a, url)
    study.set_user_attr(StudyAttribute.OWNER, sign())
    mine.due = 0.0
    with pytest.raises(UserError, match="has taken over the study s"):
        mine.beat()
    mine.release()
    assert study.user_attrs[StudyAttribute.OWNER]["token"] == "another"


def test_its_files_lie_in_one_run_folder(shared):
    url, a, b = shared
    study = Store(url, "s", seed=0).study
    claim(study, a, url).release()
    study.tell(study.ask(), [1.0, 1.0])
    (a / "weights" / "0.pt").touch()
    with pytest.raises(UserError, match=f"has its files in {a}; name that folder with --out"):
        claim(study, b, url)
    b.rename(b.with_name("aside"))
    a.rename(b)
    claim(study, b, url).release()  # the folder was moved
    assert study.user_attrs[StudyAttribute.FOLDER] == str(b)


def test_a_copy_of_a_run_folder_is_a_search_of_its_own(shared):
    _, a, b = shared
    url = default_storage_url(a)
    claim(Store(url, "s", seed=0).study, a, url).release()
    (b / "study.db").write_bytes((a / "study.db").read_bytes())
    url = default_storage_url(b)
    claim(Store(url, "s", seed=0).study, b, url).release()


def test_a_second_start_from_another_folder_is_refused(shared, monkeypatch):
    url, a, b = shared
    settings = Settings(**SMALL, storage=url, out=a)
    refused = []

    def second(*_arguments):
        with pytest.raises(UserError) as told:
            run_search(Settings(**SMALL, storage=url, out=b))
        refused.append(str(told.value))

    monkeypatch.setattr(Runner, "run", second)
    run_search(settings)
    assert refused[0].startswith(f"another search is running on the study s: process {os.getpid()} on ")


def delete_study(folder):
    optuna.delete_study(study_name="s", storage=default_storage_url(folder))


def move_folder(folder):
    folder.rename(folder.with_name("moved"))


def delete_database(folder):
    (folder / "study.db").unlink()


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (delete_study, "the study was deleted while it was searched; start again"),
        (move_folder, "was moved or deleted while the search ran; put it back, or name the run folder"),
        (delete_database, "was moved or deleted while the search ran; put it back, or name the run folder"),
    ],
)
def test_what_goes_away_while_it_is_searched_is_named(tmp_path, monkeypatch, happens, said):
    monkeypatch.setattr(owner, "BEAT_SECONDS", 0.5)
    folder, turns = tmp_path / "run", []
    usual = Runner._turn

    def turn(runner):
        turns.append(1)
        if len(turns) == 3:
            happens(folder)
        usual(runner)

    monkeypatch.setattr(Runner, "_turn", turn)
    with pytest.raises(UserError) as told:
        run_search(Settings(**SMALL, out=folder))
    assert said in str(told.value)


def test_a_run_folder_holds_one_search(shared):
    url, a, b = shared
    for place, folder in ((default_storage_url(a), a), (url, b)):
        study = Store(place, "s", seed=0, folder=folder).study
        claim(study, folder, place).release()
        Store(place, "not begun", seed=0, folder=folder)  # has written nothing there
        study.ask()
        with pytest.raises(UserError, match=rf"{folder.name} holds the search s; go on with --name s, or .* --out"):
            Store(place, "another", seed=0, folder=folder)
        assert optuna.get_all_study_names(place) == ["s", "not begun"]
        Store(place, "s", seed=0, folder=folder)
    Store(default_storage_url(a), "s", seed=0).study.set_user_attr(StudyAttribute.FOLDER, "/where/it/was")
    with pytest.raises(UserError, match="a holds the search s"):  # a run folder may have been moved
        Store(default_storage_url(a), "another", seed=0, folder=a)
    with pytest.raises(UserError, match=r"a holds a search in its own study\.db; leave --storage out"):
        Store(url, "another", seed=0, folder=a)
    Store(url, "another", seed=0, folder=a / "new")
