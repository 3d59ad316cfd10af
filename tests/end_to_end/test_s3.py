"""A search whose pictures go to an S3-compatible store: gone on with, and looked at in the dashboard."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request

from builders import ROOT, study_of

from search.command.cli import main
from search.engine import launch
from search.training.linear_baseline import Baseline

SMALL = "--epochs 1 --workers 1 --device cpu --no-start --no-race --range depth=2:2 --range width=12:16 "
SMALL += "--range batch_size=32:48 --range learning_rate=0.005:0.01 --train-size 200 --val-size 100"


def objects(prefix) -> set[str]:
    """The names below a prefix in the bucket, without it."""
    import boto3

    listed = boto3.client("s3").list_objects_v2(Bucket="gapsearch", Prefix=prefix).get("Contents", ())
    return {one["Key"].removeprefix(prefix) for one in listed}


def pictures(folder) -> dict[str, str]:
    """The artifact of each trial, by its path in the dashboard."""
    found = {}
    for trial in study_of(folder).get_trials(deepcopy=False):
        [meta] = [json.loads(value) for name, value in trial.system_attrs.items() if name.startswith("artifacts:")]
        found[f"artifacts/1/{trial._trial_id}/{meta['artifact_id']}"] = meta["artifact_id"]
    return found


def served(folder, paths) -> list[str]:
    """What `gapsearch dashboard` answers."""
    command = [sys.executable, "-m", "search", "dashboard", str(folder), "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        url = re.search(r"(http://\S+/)dashboard/", server.stdout.readline())[1]
        answers = [urllib.request.urlopen(url + path, timeout=60).read().decode() for path in paths]
        server.send_signal(signal.SIGINT)
        assert server.communicate(timeout=60)[1] == ""
    return answers


def test_a_later_start_and_the_dashboard_find_the_pictures_in_the_bucket(tmp_path, bucket, monkeypatch, capfd):
    monkeypatch.setattr(launch, "fit_baseline", lambda data: Baseline(val_loss=2.3, val_accuracy=0.1, l2=1.0))
    folder = tmp_path / "run"
    command = ["run", "digits", "--out", str(folder), *shlex.split(SMALL)]
    assert main([*command, "--trials", "1", "--artifacts", f"{bucket}/pictures/digits"]) == 0
    assert main([*command, "--trials", "2"]) == 0
    assert list((folder / "artifacts").iterdir()) == []
    found = pictures(folder)
    assert len(found) == 2
    assert objects("pictures/digits/") == set(found.values())
    for number, svg in enumerate(served(folder, found)):
        assert svg.startswith("<svg")
        assert f"trial {number}: " in svg
    shown = "".join(capfd.readouterr())
    assert "not all current" not in shown
    kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file()) + shown.encode()
    assert (folder / "best.yaml").is_file()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert os.environ[name].encode() not in kept
