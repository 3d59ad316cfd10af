"""A search that TensorBoard and MLflow can show, continued by a second start."""

import pytest
from builders import settings

from search import Search
from search.command.cli import main

pytest.importorskip("tensorboard")
pytest.importorskip("mlflow")


def test_both_have_every_trial_once(tmp_path):
    from mlflow.tracking import MlflowClient
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    for trials in (1, 2):
        known = vars(settings(tmp_path / "run", trials=trials, epochs=2, workers=1, race=False))
        Search(**known | {"tensorboard": True, "mlflow": uri}).run()
    folders = sorted((tmp_path / "run" / "tensorboard").iterdir())
    assert [folder.name for folder in folders] == ["trial_0000", "trial_0001"]
    for folder in folders:
        events = EventAccumulator(str(folder))
        events.Reload()
        assert [event.step for event in events.Scalars("val_loss")] == [1, 2]
    client = MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    assert sorted(run.data.tags.get("gapsearch.trial", "search") for run in runs) == ["0", "1", "search"]
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_a_server_that_is_not_there_ends_no_search_and_its_password_is_not_shown(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    flags = "--trials 1 --epochs 1 --train-size 200 --val-size 100 --workers 1 --no-race --range depth=2:2"
    out = ["--out", str(tmp_path / "run"), "--mlflow", "http://me:sekret@127.0.0.1:9"]
    assert main(["run", "digits", *flags.split(), *out]) == 0
    said = "".join(capfd.readouterr())
    assert said.count("--mlflow: ") == 1
    assert "; the search goes on without it" in said
    assert "sekret" not in said
    assert (tmp_path / "run" / "report.html").exists()
