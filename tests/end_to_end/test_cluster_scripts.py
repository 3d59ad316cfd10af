"""The scripts of studies/cluster/: what they call takes these flags, and the manifest is one of a RayJob."""

import shlex
import subprocess

import pytest
import yaml
from builders import ROOT
from pydantic import BaseModel, ConfigDict

from search.command.presets import preset
from search.study import parse

CLUSTER = ROOT / "studies" / "cluster"


class Strict(BaseModel):
    """No field but these, as KubeRay's own definitions demand it (ray.io/v1)."""

    model_config = ConfigDict(extra="forbid")


class Container(Strict):
    name: str
    image: str
    resources: dict[str, dict[str, str]] = {}
    volumeMounts: list[dict[str, str]] = []


class Pod(Strict):
    containers: list[Container]
    volumes: list[dict[str, object]] = []


class Template(Strict):
    spec: Pod


class Head(Strict):
    rayStartParams: dict[str, str]
    template: Template


class Workers(Head):
    groupName: str
    minReplicas: int
    maxReplicas: int


class Cluster(Strict):
    enableInTreeAutoscaling: bool
    headGroupSpec: Head
    workerGroupSpecs: list[Workers]


class Spec(Strict):
    entrypoint: str
    shutdownAfterJobFinishes: bool
    backoffLimit: int
    rayClusterSpec: Cluster


class RayJob(Strict):
    apiVersion: str
    kind: str
    metadata: dict[str, str]
    spec: Spec


def manifest():
    return RayJob(**yaml.safe_load((CLUSTER / "kuberay.yaml").read_text()))


def commands(name, program):
    """What a script calls of that program, in words."""
    lines = (CLUSTER / name).read_text().replace("\\\n", " ").splitlines()
    lines = [line.replace(f"{program} ", f"\n{program} ", 1).partition("\n")[2] for line in lines if line[:1] != "#"]
    words = [shlex.split(line, comments=True) for line in lines if line]
    return [line[: line.index(";;")] if ";;" in line else line for line in words]


def searches():
    """The arguments of every `gapsearch run` there."""
    found = [words for name in ("by_hand.sh", "slurm.sh") for words in commands(name, "gapsearch")]
    return [*found, shlex.split(manifest().spec.entrypoint)]


@pytest.mark.parametrize("words", searches(), ids=" ".join)
def test_every_search_there_is_one(words):
    assert words[:2] == ["gapsearch", "run"]
    assert parse(words[3:], preset(words[2])).ray == "auto"


@pytest.mark.parametrize("name", ["by_hand.sh", "slurm.sh"])
def test_bash_reads_the_script(name):
    subprocess.run(["bash", "-n", CLUSTER / name], check=True)


def test_by_hand_says_how_it_is_used():
    done = subprocess.run(["bash", CLUSTER / "by_hand.sh"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.endswith("head | node HEAD | search\n")) == (2, True)


def test_ray_takes_the_flags_that_the_scripts_give_it():
    scripts = pytest.importorskip("ray.scripts.scripts", reason="Ray is not installed")
    from ray.scripts.symmetric_run import curate_and_validate_ray_start_args

    starts = [words[2:] for words in commands("by_hand.sh", "ray") if words[1] == "start"]
    starts += [words[words.index("start") + 1 :] for words in commands("by_hand.sh", "ray") if "&&" in words]
    assert len(starts) == 2
    for words in starts:
        scripts.start.make_context("start", list(words))
    (symmetric,) = commands("slurm.sh", "ray")
    ours = symmetric[2 : symmetric.index("--")]
    assert ours[::2] == ["--address", "--min-nodes", "--num-cpus"]
    curate_and_validate_ray_start_args(ours)


def test_the_run_folder_of_the_manifest_is_on_its_volume():
    head = manifest().spec.rayClusterSpec.headGroupSpec
    (mount,) = head.template.spec.containers[0].volumeMounts
    assert f"--out {mount['mountPath']}/" in manifest().spec.entrypoint
    assert [volume["name"] for volume in head.template.spec.volumes] == [mount["name"]]
