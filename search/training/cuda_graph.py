"""A training step as a CUDA graph: small networks wait for kernel launches, and a graph is launched as a whole.

Measured losses stay those of the plain step, to rounding: nothing is left out, and random numbers come from the same
generators in the same order.
"""

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

WARM_UP = 3  # steps before the capture, so that libraries and the optimizer have allocated what they keep

Input = torch.Tensor | float
Step = Callable[..., None]


def graphed(step: Step, device: torch.device, generators: Sequence[torch.Generator] = ()) -> Step:
    """`step`, faster on a CUDA device: from its fourth call on it is replayed from a graph. As it is elsewhere.

    step: works in place on what stays where it is, does not synchronize, and takes tensors of unchanging shape on
    `device` and floats; on a CUDA device these reach it as tensors of shape (). generators: those that it draws
    from, besides the device's own.
    """
    return GraphedStep(step, Cuda(device, generators)) if device.type == "cuda" else step


class Cuda:
    """How a step is warmed up, captured, and rescued where that fails."""

    def __init__(self, device: torch.device, generators: Sequence[torch.Generator] = ()) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device)
        self._own = list(generators)
        index = torch.cuda.current_device() if device.index is None else device.index
        self._generators = [torch.cuda.default_generators[index], *self._own]

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """On the stream of the capture, a side one: the default stream cannot be captured."""
        current = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            yield
        current.wait_stream(self._stream)

    def capture(self, step: Callable[[], None]) -> Callable[[], None]:
        """A replay of `step`, which is recorded and not run. Raises RuntimeError where it cannot be captured."""
        current = torch.cuda.current_stream(self.device)
        states = [generator.clone_state() for generator in self._generators]
        graph = torch.cuda.CUDAGraph()
        for generator in self._own:
            graph.register_generator_state(generator)
        try:
            # thread_local: what other threads do on the device meanwhile is no error of this one
            with (
                torch.cuda.device(self.device),
                torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"),
            ):
                step()
        except RuntimeError:
            with torch.cuda.device(self.device):  # which setting a stream of it would make the current one
                torch.cuda.set_stream(current)  # torch stays on the stream of a capture that it could not end
            for generator, state in zip(self._generators, states, strict=True):  # they believe that capture goes on
                generator.graphsafe_set_state(state)
            raise
        return graph.replay


class GraphedStep:
    """Calls `step` plainly while warming up, then replays its graph; plainly for ever where it cannot be captured.

    failure: why it could not, None otherwise.
    """

    def __init__(self, step: Step, cuda: Cuda) -> None:
        self._step, self._cuda = step, cuda
        self._calls = 0
        self._inputs: list[torch.Tensor] = []  # where the graph reads
        self._replay: Callable[[], None] | None = None
        self.failure: str | None = None

    def __call__(self, *inputs: Input) -> None:
        if self.failure is not None:
            self._step(*inputs)
        elif self._calls < WARM_UP:
            self._calls += 1
            self._warm_up(inputs)
        elif self._replay is not None or self._captured(inputs):
            assert self._replay is not None
            for place, value in zip(self._inputs, inputs, strict=True):
                place.copy_(value) if isinstance(value, torch.Tensor) else place.fill_(value)
            self._replay()
        else:
            self._step(*inputs)

    def _warm_up(self, inputs: Sequence[Input]) -> None:
        before = _host_randomness()
        with self._cuda.aside():
            self._step(*(self._tensor(value) for value in inputs))
        if _host_randomness() != before:  # a network that draws in Python: a graph would repeat one draw for ever
            self.failure = "it draws random numbers outside the device"

    def _captured(self, inputs: Sequence[Input]) -> bool:
        """Whether the step could be captured, with inputs like these."""
        self._inputs = [self._tensor(value).clone() for value in inputs]
        try:
            self._replay = self._cuda.capture(lambda: self._step(*self._inputs))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.failure = (str(error).splitlines() or [type(error).__name__])[0]
        return self._replay is not None

    def _tensor(self, value: Input) -> torch.Tensor:
        """On the device without a copy from the host, which would wait for all that runs there."""
        return value if isinstance(value, torch.Tensor) else torch.full((), value, device=self._cuda.device)


def _host_randomness() -> tuple[object, ...]:
    """The state of the generators that Python, NumPy and torch have on the CPU."""
    _, keys, position, *_ = np.random.get_state()
    return random.getstate(), np.asarray(keys).tobytes(), position, torch.get_rng_state().numpy().tobytes()
