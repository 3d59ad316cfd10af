"""Number format and memory layout of training, chosen by timing them on the machine at hand."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from search.training.cuda_graph import WARM_UP, graphed

WORTH_IT = 0.9  # a format is taken if it brings the time below this share of the plainer one's
ROUNDS = 5


@dataclass(frozen=True)
class Precision:
    """How networks run: under bf16 autocast or in float32, with channels last or first."""

    bf16: bool = False
    channels_last: bool = False

    @classmethod
    def of(cls, environment: Mapping[str, Any]) -> "Precision":
        """The precision in the `environment` of a best.yaml."""
        return cls(environment["bf16"], environment["channels_last"])

    def __str__(self) -> str:
        return f"{'bf16' if self.bf16 else 'float32'}, channels {'last' if self.channels_last else 'first'}"

    def autocast(self, device_type: str) -> contextlib.AbstractContextManager[object]:
        """The context of a forward pass on a device of that type."""
        return torch.autocast(device_type, torch.bfloat16) if self.bf16 else contextlib.nullcontext()

    def place(self, images: torch.Tensor) -> torch.Tensor:
        """`images` (n, c, h, w) in the memory layout of choice."""
        return images.to(memory_format=self._layout())

    def place_model(self, model: torch.nn.Module) -> torch.nn.Module:
        """`model` with its weights in the memory layout of choice."""
        # Module.to knows memory_format, its type stub does not in every release
        return model.to(memory_format=self._layout())  # type: ignore[call-overload, no-any-return, unused-ignore]

    def _layout(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format


PLAIN = Precision()
CANDIDATES = (PLAIN, Precision(channels_last=True), Precision(channels_last=True, bf16=True))


def fastest_precision(
    build: Callable[[], torch.nn.Module],
    image_shape: tuple[int, int, int],
    batch_size: int,
    device: torch.device,
    candidates: Sequence[Precision] = CANDIDATES,
) -> Precision:
    """Time a training step of `build()` in each of `candidates`, plainest first, on one CPU thread as workers have.

    The formats take turns, so that a burst of other load meets all of them; medians are compared. One that the network
    does not run in, or for which a GPU has no room beside the others, is left out.
    """
    steps: dict[Precision, Callable[[], None]] = {}
    with one_thread():
        for precision in candidates:
            with contextlib.suppress(Exception):  # of a user's network: it may raise anything
                step = graphed(_training_step(precision, build, (batch_size, *image_shape), device), device)
                for _ in range(1 + WARM_UP * (device.type == "cuda")):
                    _seconds(step, device)
                steps[precision] = step
        times: dict[Precision, list[float]] = {precision: [] for precision in steps}
        for _ in range(ROUNDS):
            for precision, step in steps.items():
                times[precision].append(_seconds(step, device))
    chosen, *others = steps or [PLAIN]
    for precision in others:
        if statistics.median(times[precision]) < WORTH_IT * statistics.median(times[chosen]):
            chosen = precision
    return chosen


def try_out(
    precision: Precision, build: Callable[[], torch.nn.Module], image_shape: tuple[int, int, int], device: torch.device
) -> None:
    """A training step with two images. Raises whatever the network raises in that format."""
    with one_thread():
        _training_step(precision, build, (2, *image_shape), device)()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one CPU thread: small networks gain nothing from more, and lose much where others compute too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _training_step(
    precision: Precision, build: Callable[[], torch.nn.Module], shape: tuple[int, ...], device: torch.device
) -> Callable[[], None]:
    model = precision.place_model(build().to(device))
    images = precision.place(torch.rand(shape, device=device))
    labels = torch.zeros(shape[0], dtype=torch.long, device=device)

    def step() -> None:
        with precision.autocast(device.type):
            logits = model(images)
        F.cross_entropy(logits.float(), labels).backward()

    return step


def _seconds(step: Callable[[], None], device: torch.device) -> float:
    started = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started
