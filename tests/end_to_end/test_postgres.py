"""A search in PostgreSQL, from its start to its confirmation; its password is nowhere to be found."""

import json
import shlex

import optuna
import pytest
from optuna_dashboard import wsgi
from postgres import server  # noqa: F401

from search.command.cli import main
from search.engine import launch
from search.engine.launch import run_search
from search.errors import UserError
from search.recording.owner import claim
from search.results.schema import SCHEMA
from search.results.storage import create_study, open_storage, open_study
from search.settings import Settings
from search.training.linear_baseline import Baseline
from studies.benchmarks.overhead.postgres_server import PASSWORD

SMALL = "--trials 3 --epochs 2 --workers 2 --device cpu --no-start --no-race --range depth=2:2 --range width=12:16 "
SMALL += "--range batch_size=8:16 --range learning_rate=0.005:0.01 --train-size 300 --val-size 100"


def test_a_search_in_postgres_shows_its_password_nowhere(server, tmp_path, capfd, monkeypatch):  # noqa: F811
    monkeypatch.setattr(launch, "fit_baseline", lambda data: Baseline(val_loss=2.0, val_accuracy=0.2, l2=1.0))
    folder, storage = tmp_path / "run", ["--storage", server.url]
    assert main(["run", "digits", "--out", str(folder), *shlex.split(SMALL), *storage]) == 0
    assert main(["list", str(folder), *storage]) == 0
    assert main(["report", str(folder), *storage]) == 0
    assert main(["confirm", str(folder), "--seeds", "1", "--top", "2", *storage]) == 0
    assert not (folder / "study.db").exists()
    shown = "".join(capfd.readouterr())
    assert "3 trials: " in shown
    assert "test_loss" in shown
    with open_study(server.url, "digits") as study:
        attributes = [study.user_attrs, study._storage.get_study_system_attrs(study._study_id)]
        attributes += [trial.user_attrs | trial.system_attrs for trial in study.trials]
        recorded = json.dumps(attributes)
    assert "Chosen at present" in recorded  # the note is among them
    kept = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert (folder / "best.yaml").is_file()
    for secret in (PASSWORD, PASSWORD.replace(" ", "%20")):
        assert secret not in shown + recorded
        assert not any(secret.encode() in content for content in kept)


def test_a_study_in_postgres_has_one_search_at_a_time(server, tmp_path):  # noqa: F811
    study = create_study(server.url, "owned")
    study.set_user_attr("schema", SCHEMA)
    with claim(study, tmp_path, server.url):
        settings = Settings(name="owned", dataset="digits", out=tmp_path / "other", device="cpu", storage=server.url)
        with pytest.raises(UserError, match="another search is running on the study owned: process"):
            run_search(settings)


def test_the_dashboard_reads_postgres(server, tmp_path):  # noqa: F811

    create_study(server.url, "watched")
    with open_storage(server.url) as storage:
        assert callable(wsgi(storage))
        assert "watched" in optuna.get_all_study_names(storage)
