"""Real digits, small networks, and a cache of the tests' own."""

import contextlib
import json
import logging
import os
import subprocess
from pathlib import Path

import hypothesis
import pytest
import torch

from search.choice.constraints import Constraints
from search.data import datasets
from search.data.tensors import prepare
from search.errors import UserError
from search.log import console
from search.training.precision import Precision
from search.training.trial import Conditions

# the same cases each time, however long they take on a busy machine
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Nothing is read from or left in the user's own cache."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty cache for one test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """As workers have."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def torchvision_datasets():
    """torchvision.datasets; a test that uses it skips where torchvision does not fit the torch installed."""
    try:
        return datasets.torchvision_datasets()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def digits(cache):
    """400 digits to train on, 200 to validate on."""
    source = datasets.load("digits", "train", Path("data"))
    return prepare(source, train_size=400, val_size=200, seed=0, flip=False)


@pytest.fixture(scope="session")
def ray_here(cache):
    """Ray on this machine, for all tests that need it: its start takes seconds. It takes it to have a GPU."""
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    from search.processes import environment
    from search.workers.ray_cluster import connected

    with contextlib.ExitStack() as stack:
        with environment({"RAY_OVERRIDE_RESOURCES": json.dumps({"CPU": 4, "GPU": 1})}):
            stack.enter_context(connected("local"))
        yield ray


@pytest.fixture(scope="session")
def bucket():
    """The URL of an empty bucket, in a store on this machine that speaks as S3 does."""
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    moto = pytest.importorskip("moto.server", reason="moto and flask, a stand-in for S3, are not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it would print each request
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_PROFILE", raising=False)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, os.devnull)
        patch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "none-of-your-business")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
        boto3.client("s3").create_bucket(Bucket="gapsearch")
        yield "s3://gapsearch"
    server.stop()


@pytest.fixture
def conditions(tmp_path):
    """Of a study with an easy baseline."""
    return Conditions(Constraints(baseline_loss=2.0), Precision(), tmp_path, "study", "data")


@pytest.fixture
def said(caplog, monkeypatch):
    """Call it for what the library has said so far, whoever else listens."""
    logger = logging.getLogger("search")
    caplog.set_level(logging.INFO, logger.name)
    monkeypatch.setattr(logger, "propagate", False)  # the root logger has this handler too
    logger.addHandler(caplog.handler)
    yield lambda: caplog.text
    logger.removeHandler(caplog.handler)


@pytest.fixture(autouse=True)
def fresh_console():
    """The shared console looks at sys.stdout once; tests change that."""
    console.cache_clear()
    yield
    console.cache_clear()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 4 MB; a test that uses it skips where none may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no command mount")
    if done.returncode != 0:
        pytest.skip(f"no disk may be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)
