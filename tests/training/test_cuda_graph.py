"""Steps that are replayed: what can be told without a GPU, and on one that they train as plain steps do."""

import contextlib
import copy
import random
import types

import numpy as np
import pytest
import torch
from builders import CONFIG

from search.measurement import measure
from search.training import trainer as training
from search.training.cuda_graph import WARM_UP, Cuda, GraphedStep, graphed
from search.training.precision import CANDIDATES, Precision, fastest_precision
from search.training.trainer import Trainer
from search.training.trial import Job, run_trial
from spaces import cnn

CPU = torch.device("cpu")


class FakeCuda:
    """Captures by keeping the function: a replay runs it again, with what stands in its inputs."""

    device = CPU

    def __init__(self, error=None):
        self.error, self.captures, self.warmed = error, 0, 0

    @contextlib.contextmanager
    def aside(self):
        self.warmed += 1
        yield

    def capture(self, step):
        self.captures += 1
        if self.error is not None:
            raise self.error
        return step


def test_a_step_is_warmed_up_captured_once_and_then_replayed_with_new_inputs():
    total, seen = torch.zeros(3), []

    def step(vector, factor):
        seen.append((vector, factor))
        total.add_(vector * factor)

    cuda = FakeCuda()
    replayed = GraphedStep(step, cuda)
    expected = torch.zeros(3)
    for number in range(WARM_UP + 4):
        vector = torch.full((3,), float(number))
        replayed(vector, 0.5 * number)
        expected += vector * 0.5 * number
    assert torch.equal(total, expected)
    assert (cuda.warmed, cuda.captures) == (WARM_UP, 1)
    assert all(isinstance(factor, torch.Tensor) and factor.shape == () for _, factor in seen)
    # a graph reads where it read when it was captured
    assert len({(vector.data_ptr(), factor.data_ptr()) for vector, factor in seen[WARM_UP:]}) == 1


def test_what_cannot_be_captured_goes_on_plainly():
    calls, cuda = [], FakeCuda(RuntimeError("operation not permitted when stream is capturing\nand so on"))
    step = GraphedStep(lambda value: calls.append(value), cuda)
    for number in range(WARM_UP + 3):
        step(float(number))
    assert [float(value) for value in calls] == list(range(WARM_UP + 3))
    assert cuda.captures == 1
    assert step.failure == "operation not permitted when stream is capturing"


def test_after_a_failed_capture_the_current_stream_is_that_of_before(monkeypatch):
    streams, generator = ["before"], types.SimpleNamespace(clone_state=lambda: "state", graphsafe_set_state=str)

    @contextlib.contextmanager
    def capturing(graph, stream, capture_error_mode):  # as torch's, which stays on the stream where it cannot end
        streams.append(stream)
        yield

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: "of the capture")
    monkeypatch.setattr(torch.cuda, "default_generators", [generator])
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: streams[-1])
    monkeypatch.setattr(torch.cuda, "set_stream", streams.append)
    monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "graph", capturing)

    def step():
        raise RuntimeError("operation not permitted when stream is capturing")

    with pytest.raises(RuntimeError, match="not permitted"):
        Cuda(torch.device("cuda", 0)).capture(step)
    assert streams == ["before", "of the capture", "before"]


def test_want_of_memory_is_no_reason_to_go_on():
    step = GraphedStep(lambda: None, FakeCuda(torch.OutOfMemoryError("CUDA out of memory")))
    for _ in range(WARM_UP):
        step()
    with pytest.raises(torch.OutOfMemoryError):
        step()


@pytest.mark.parametrize("draw", [random.random, np.random.random, lambda: torch.rand(1)])
def test_a_network_that_draws_in_python_is_not_captured(draw):
    cuda = FakeCuda()
    step = GraphedStep(draw, cuda)
    for _ in range(WARM_UP + 2):
        step()
    assert cuda.captures == 0
    assert step.failure == "it draws random numbers outside the device"


def test_on_a_cpu_a_step_stays_what_it_is():
    def step():
        pass

    assert graphed(step, CPU) is step


def replaying(monkeypatch):
    """Trainers replay their steps from now on, on the CPU too; dropout draws from the CPU's generator there."""
    monkeypatch.setattr("search.training.cuda_graph._host_randomness", tuple)
    monkeypatch.setattr(training, "graphed", lambda step, device, generators: GraphedStep(step, FakeCuda()))


def losses(trainer, epochs):
    return np.concatenate([trainer.epoch().val.losses for _ in range(epochs)])


def test_a_replayed_trainer_gives_the_numbers_of_a_plain_one(digits, monkeypatch):
    data = digits.to(CPU)
    plain = losses(Trainer(cnn.build, CONFIG, data, seed=0, precision=Precision()), 4)
    replaying(monkeypatch)
    trainer = Trainer(cnn.build, CONFIG, data, seed=0, precision=Precision())
    np.testing.assert_allclose(losses(trainer, 4), plain, rtol=1e-3, atol=1e-4)
    assert trainer._update._replay is not None


def test_a_replayed_trainer_goes_on_from_its_state(digits, monkeypatch):
    replaying(monkeypatch)
    data = digits.to(CPU)
    expected = losses(Trainer(cnn.build, CONFIG, data, seed=0, precision=Precision()), 4)
    first = Trainer(cnn.build, CONFIG, data, seed=0, precision=Precision())
    before, state = losses(first, 2), copy.deepcopy(first.state_dict())
    rest = Trainer(cnn.build, CONFIG, data, seed=5, precision=Precision())
    losses(rest, 1)  # has captured a step of its own
    rest.load_state_dict(state)
    assert rest._update._replay is None  # its graph had the optimizer's tensors of before
    np.testing.assert_allclose(np.concatenate([before, losses(rest, 2)]), expected, rtol=1e-3, atol=1e-4)


def test_a_trial_tells_why_its_steps_are_no_graph(digits, conditions, monkeypatch):
    job, data = Job(0, CONFIG, seed=0, epochs=1, lineage=0, repeat=1), digits.to(CPU)
    assert run_trial(job, cnn.build, data, conditions).uncaptured is None
    failing = FakeCuda(RuntimeError("operation not permitted"))
    monkeypatch.setattr("search.training.cuda_graph._host_randomness", tuple)
    monkeypatch.setattr(training, "graphed", lambda step, device, generators: GraphedStep(step, failing))
    assert run_trial(job, cnn.build, data, conditions).uncaptured == "operation not permitted"


@pytest.mark.gpu
@pytest.mark.parametrize("precision", CANDIDATES)
def test_on_a_gpu_a_graph_trains_as_plain_steps_do(digits, monkeypatch, precision):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    data = digits.to(torch.device("cuda"))
    trainer = Trainer(cnn.build, CONFIG, data, seed=0, precision=precision)
    replayed = [measure(epoch.train, epoch.val).val_loss for epoch in (trainer.epoch() for _ in range(5))]
    assert trainer._update.failure is None
    assert trainer._update._replay is not None
    monkeypatch.setattr(training, "graphed", lambda step, device, generators: step)
    trainer = Trainer(cnn.build, CONFIG, data, seed=0, precision=precision)
    plain = [measure(epoch.train, epoch.val).val_loss for epoch in (trainer.epoch() for _ in range(5))]
    np.testing.assert_allclose(replayed, plain, rtol=0.02 if precision.bf16 else 0.002)


@pytest.mark.gpu
def test_on_a_gpu_a_step_that_synchronizes_goes_on_plainly():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    total = torch.zeros(1, device="cuda")

    def step(value):
        total.add_(value + torch.rand(1, device="cuda") * 0)
        total.item()

    replayed, current = graphed(step, total.device), torch.cuda.current_stream()
    for _ in range(WARM_UP + 3):
        replayed(1.0)
        assert torch.cuda.current_stream() == current
    assert replayed.failure is not None
    assert total.item() == WARM_UP + 3
    torch.rand(1, device="cuda")  # the generator is not left waiting for the end of a capture


@pytest.mark.gpu
def test_on_a_gpu_the_formats_are_timed_as_graphs():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    build = lambda: cnn.build(CONFIG, channels=1, image_size=(8, 8), classes=10)  # noqa: E731
    assert fastest_precision(build, (1, 8, 8), 32, torch.device("cuda")) in CANDIDATES
