"""What is tried out on the machine at hand, and remembered there."""

import math
from types import SimpleNamespace

import pytest
import torch

from search.errors import UserError
from search.spaces import suggester
from search.training.precision import CANDIDATES, Precision
from search.workers import machine
from search.workers.gpu_packing import MOST, ThroughputProbe

GB = 1e9
CPU = torch.device("cpu")


def test_the_number_format_is_timed_once(digits, monkeypatch, own_cache):
    timed = []

    def fastest(build, shape, batch_size, device, candidates):
        assert list(candidates) == list(CANDIDATES)
        timed.append((shape, device, sum(p.numel() for p in build().parameters()) > 0))
        return CANDIDATES[-1]

    monkeypatch.setattr(machine, "fastest_precision", fastest)
    found = [machine.precision("spaces.mlp", suggester("spaces.mlp", {}), digits, CPU) for _ in range(2)]
    assert found == [CANDIDATES[-1]] * 2
    assert timed == [((1, 8, 8), CPU, True)]


SPACE = """
from torch import nn

class Ends(nn.Module):
    def __init__(self, channels, image_size, classes, how):
        super().__init__()
        self.conv, self.how = nn.Conv2d(channels, 4, 3, padding=1), how
        self.head = nn.Linear(4 * image_size[0] * image_size[1], classes)

    def forward(self, images):
        maps = self.conv(images)
        if self.how == "detach":
            maps = maps.detach()
            return maps.sum() + maps.reshape(len(maps), -1)[:, : self.head.out_features]
        return self.head(maps.view(len(maps), -1) if self.how == "view" else maps.flatten(1))

def suggest(trial):
    return {"how": trial.suggest_categorical("how", HOW)}

def build(config, *, channels, image_size, classes):
    return Ends(channels, image_size, classes, config["how"])
"""


@pytest.mark.parametrize("how", [["view"], ["flatten", "view"]])
def test_a_format_in_which_some_networks_of_a_space_fail_is_not_taken(tmp_path, digits, monkeypatch, own_cache, how):
    (tmp_path / "mine.py").write_text(SPACE.replace("HOW", repr(how)))
    space, offered = str(tmp_path / "mine.py"), []
    monkeypatch.setattr(machine, "fastest_precision", lambda *_: offered.extend(_[-1]) or Precision())
    machine.precision(space, suggester(space, {}), digits, CPU)
    assert offered == [Precision()]
    (tmp_path / "mine.py").write_text(SPACE.replace("HOW", "['flatten', 'flatten']"))  # an edit is measured anew
    machine.precision(space, suggester(space, {}), digits, CPU)
    assert offered[1:] == list(CANDIDATES)


def test_a_network_that_cannot_be_trained_is_told_in_one_line(tmp_path, digits, own_cache):
    (tmp_path / "mine.py").write_text(SPACE.replace("HOW", "['detach']"))
    space = str(tmp_path / "mine.py")
    with pytest.raises(UserError, match=r"^a network of the space .*mine.py cannot be trained: RuntimeError: .*mend"):
        machine.precision(space, suggester(space, {}), digits, CPU)


@pytest.fixture
def gpu(monkeypatch, own_cache):
    """A stand-in with 80 GB, of which a worker takes 2; up to four on it pay. `tried`: numbers of workers."""
    gpu = SimpleNamespace(free=80 * GB, each=2 * GB, speeds={1: 100, 2: 200, 4: 390, 8: 400}, tried=[])

    def rate(self, config, workers):
        gpu.tried.append(workers)
        return gpu.speeds[workers]

    monkeypatch.setattr(machine, "free_memory", lambda device: gpu.free)
    monkeypatch.setattr(ThroughputProbe, "rate", rate)
    monkeypatch.setattr(ThroughputProbe, "memory", lambda self, config: gpu.each)
    monkeypatch.setattr(machine.joblib, "cpu_count", lambda: 32)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    return gpu


def test_the_decision_is_remembered_but_memory_is_looked_at_anew(digits, monkeypatch, gpu):
    monkeypatch.setattr(ThroughputProbe, "memory", lambda self, config: 2 * GB if config["width"] == 48 else math.inf)

    def workers(devices):
        return machine.workers_per_gpu("spaces.cnn", suggester("spaces.cnn", {}), digits, Precision(), devices)

    assert workers(["cuda:0", "cuda:1"]) == 4
    assert gpu.tried == [1, 2, 4, 8]
    gpu.free = 5 * GB
    assert workers(["cuda:0", "cuda:1"]) == 2
    assert gpu.tried == [1, 2, 4, 8]
    assert workers(["cuda:0"] * 32) == 1  # one core for each


@pytest.mark.parametrize("broken", [{"each": math.inf}, {"each": 0.0}, {"speeds": {1: 0}}])
def test_what_could_not_be_tried_out_is_tried_again_at_the_next_start(digits, gpu, broken):
    def workers():
        return machine.workers_per_gpu("spaces.mlp", suggester("spaces.mlp", {}), digits, Precision(), ["cuda:0"])

    usual = {name: getattr(gpu, name) for name in broken}
    vars(gpu).update(broken)
    assert workers() == 1
    vars(gpu).update(usual)
    gpu.tried.clear()
    assert workers() == 4
    assert gpu.tried == [1, 2, 4, 8]


def test_another_build_of_the_same_space_is_tried_out_anew(tmp_path, digits, gpu):
    space = tmp_path / "mine.py"
    for edit, workers in (("", 4), ("# another build", 2)):
        space.write_text(SPACE.replace("HOW", "['flatten']") + edit)
        found = machine.workers_per_gpu(str(space), suggester(str(space), {}), digits, Precision(), ["cuda:0"])
        assert found == workers
        gpu.each = 30 * GB


@pytest.mark.gpu
def test_a_gpu_is_shared_by_as_many_as_pay(digits):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    packed = machine.workers_per_gpu("spaces.cnn", suggester("spaces.cnn", {}), digits, Precision(), ["cuda:0"])
    assert 1 <= packed <= MOST
