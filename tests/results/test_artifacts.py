"""Pictures in a folder and in a bucket: what goes in comes out, and what stands in the way is told in one line."""

import io
import socket
import sys
import time
from types import SimpleNamespace

import optuna
import pytest
from optuna.artifacts import download_artifact, upload_artifact
from optuna.artifacts.exceptions import ArtifactNotFound

from search.errors import UserError
from search.results import artifacts
from search.results.artifacts import artifact_store, bucket_of, check, recorded_url

SECRET = "none-of-your-business"  # the key of the `bucket`


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/", ("bucket", "")),
        ("s3://my.bucket-1/a/b=2", ("my.bucket-1", "a/b=2/")),
        ("s3://bucket//a/", ("bucket", "a/")),
    ],
)
def test_a_bucket_and_its_prefix(url, found):
    assert bucket_of(url) == found


def uploaded(store, tmp_path) -> str:
    """The identity of a small artifact of a study."""
    path = tmp_path / "curves.svg"
    path.write_text("<svg/>")
    study = optuna.create_study()
    return upload_artifact(artifact_store=store, file_path=str(path), study_or_trial=study)


@pytest.fixture(params=["", "/pictures/of"])
def place(request, bucket):
    """The URL of a place in a bucket, and what the names of objects there begin with."""
    return bucket + request.param, request.param[1:] + "/" if request.param else ""


def test_what_optuna_uploads_it_downloads(place, tmp_path):
    import boto3

    url, prefix = place
    check(tmp_path, url)
    store = artifact_store(tmp_path, url)
    identity = uploaded(store, tmp_path)
    assert boto3.client("s3").get_object(Bucket="gapsearch", Key=prefix + identity)["Body"].read() == b"<svg/>"
    names = [one["Key"] for one in boto3.client("s3").list_objects_v2(Bucket="gapsearch", Prefix=prefix)["Contents"]]
    assert f"{prefix}check" not in names
    download_artifact(artifact_store=store, file_path=str(tmp_path / "back.svg"), artifact_id=identity)
    assert (tmp_path / "back.svg").read_text() == "<svg/>"
    store.remove(identity)
    with pytest.raises(ArtifactNotFound):
        store.open_reader(identity)


def test_without_a_url_it_is_a_folder_in_the_run_folder(tmp_path):
    (tmp_path / "artifacts").mkdir()
    check(tmp_path, None)
    identity = uploaded(artifact_store(tmp_path, None), tmp_path)
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == [identity]


def test_without_boto3_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(UserError, match=r"--artifacts s3://bucket needs boto3.*: pip install 'gapsearch\[s3\]'$"):
        artifact_store(tmp_path, "s3://bucket")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "NoSuchBucket"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "Could not connect to the endpoint URL"),
        ({"AWS_ENDPOINT_URL": f"http://me:{SECRET}@127.0.0.1:9"}, r"the endpoint URL: \"\*\*\*@127.0.0.1:9/"),
        ({"AWS_ENDPOINT_URL": f"me:{SECRET}@store"}, r"Invalid endpoint: \*\*\*@store;"),
        ({"AWS_PROFILE": "nobody"}, "nobody"),
    ],
)
def test_a_bucket_out_of_reach_is_told_in_one_line_without_a_key(bucket, tmp_path, monkeypatch, variables, said):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=said) as told:
        check(tmp_path, "s3://elsewhere/a")
    assert "--artifacts s3://elsewhere/a" in str(told.value)
    assert "AWS_PROFILE" in str(told.value) or "boto3's settings" in str(told.value)
    assert SECRET not in str(told.value)


def test_a_store_that_never_answers_is_waited_for_a_while(bucket, tmp_path, monkeypatch):
    assert artifacts.WAITING["connect_timeout"] + artifacts.WAITING["read_timeout"] <= 15
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(artifacts, "WAITING", artifacts.WAITING | {"read_timeout": 0.2})
        store = artifact_store(tmp_path, bucket)
        began = time.monotonic()
        with pytest.raises(OSError, match="Read timeout"):
            store.write("name", io.BytesIO(b"content"))
    assert 0.4 <= time.monotonic() - began < 10


def study(folder, url=None):
    """As Optuna lists one."""
    attributes = {"folder": str(folder)} | ({} if url is None else {"artifacts": url})
    return SimpleNamespace(user_attrs=attributes)


def test_of_many_studies_in_a_database_that_of_the_run_folder_says_where(tmp_path):
    mine, other = tmp_path / "mine", tmp_path / "other"
    assert recorded_url([study(other, "s3://other"), study(mine, "s3://mine")], mine) == "s3://mine"
    assert recorded_url([study(other, "s3://other"), study(mine)], mine) is None
    assert recorded_url([study(other, "s3://other")], mine) == "s3://other"  # a run folder that has been moved
    assert recorded_url([study(other, "s3://other"), study(other)], mine) is None
    assert recorded_url([], mine) is None
