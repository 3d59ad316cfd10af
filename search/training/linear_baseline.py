"""The linear baseline: softmax regression on the pixels. A network that cannot beat it underfits."""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from search.data.tensors import DeviceData
from search.training.evaluate import balanced_accuracy

STRENGTHS = tuple(10.0**exponent for exponent in torch.linspace(0, -4.5, 10).tolist())  # L2, strongest first
LARGEST_SIDE = 32
WORK = {"cpu": 1e12, "cuda": 1e14}  # multiplications on a device, some 30 seconds of one core; others as a CPU
EASY = 0.1  # of log(classes)
CHUNK_VALUES = 2**24  # of images that are averaged down at once, float32
STEPS = 100  # of L-BFGS for each strength, begun where the one before ended


@dataclass(frozen=True)
class Baseline:
    """What softmax regression on the pixels comes to."""

    val_loss: float  # mean cross-entropy on the validation split, in nats
    val_accuracy: float
    l2: float  # the strength of the penalty that gave the lowest loss
    val_balanced_accuracy: float | None = None  # where the classes are uneven


def fit_baseline(data: DeviceData, work: float | None = None) -> Baseline:
    """Fit softmax regression with each strength of `STRENGTHS` on the train split; keep the best on validation.

    Losses weigh the classes as those of a network do. Images are normalized, and averaged down to at most 32x32 pixels.
    Where it makes no mistake its loss says how sure it is and not how good, which no network need match: a loss of
    `EASY` times that of guessing counts in its place, if that is more.

    Ends early, with the strengths tried so far, after `work` multiplications (None for `WORK`) or when the validation
    loss has begun to rise. What it finds depends on no clock, so it repeats on a busy machine.
    """
    x, y = _features(data, data.train), data.labels[data.train]
    val_x, val_y = _features(data, data.val), data.labels[data.val]
    center, scale = x.mean(dim=0), x.std(dim=0).clamp_min(1e-2)
    for pixels in (x, val_x):
        pixels.sub_(center).div_(scale)
    work = WORK.get(x.device.type, WORK["cpu"]) if work is None else work
    steps = max(1, int(work / (2 * x.numel() * data.classes)))  # forward and backward multiply once each
    weight = torch.zeros(data.classes, x.shape[1], device=x.device, requires_grad=True)
    bias = torch.zeros(data.classes, device=x.device, requires_grad=True)
    chance = 1 / data.classes
    best = Baseline(math.log(data.classes), chance, math.inf, chance if data.uneven else None)
    for l2 in STRENGTHS:
        steps -= _minimize(x, y, data.class_weights, weight, bias, l2, steps)
        with torch.no_grad():
            logits = F.linear(val_x, weight, bias)
            loss = F.cross_entropy(logits, val_y, data.class_weights).item()
            correct = logits.argmax(dim=1) == val_y
        if loss < best.val_loss:
            best = Baseline(loss, correct.float().mean().item(), l2, balanced_accuracy(correct, val_y, data.uneven))
        if steps <= 0 or loss > 1.05 * best.val_loss:
            break
    if best.val_accuracy == 1:
        return replace(best, val_loss=max(best.val_loss, EASY * math.log(data.classes)))
    return best


def _features(data: DeviceData, indices: torch.Tensor) -> torch.Tensor:
    """Pixels of shape (n, d), read in chunks so that large images are never all in memory."""
    channels, height, width = data.images.shape[1:]
    size = (min(height, LARGEST_SIDE), min(width, LARGEST_SIDE))
    features = torch.empty(len(indices), channels * size[0] * size[1], device=data.images.device)
    at_once = max(1, CHUNK_VALUES // (channels * height * width))
    for place, chunk in zip(features.split(at_once), indices.split(at_once), strict=True):
        place.copy_(F.adaptive_avg_pool2d(data.normalize(data.pixels(chunk)), size).flatten(1))
    return features


def _minimize(
    x: torch.Tensor,
    y: torch.Tensor,
    class_weights: torch.Tensor | None,
    weight: torch.Tensor,
    bias: torch.Tensor,
    l2: float,
    most: int,
) -> int:
    """Change `weight` and `bias`. Returns how often the loss was computed, `most` times at most, a line search over."""
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=1, history_size=10, line_search_fn="strong_wolfe")

    computed = 0

    def closure() -> float:
        nonlocal computed
        computed += 1
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(x, weight, bias), y, class_weights) + l2 / 2 * weight.square().sum()
        loss.backward()
        return loss.item()

    previous = math.inf
    for _ in range(STEPS):
        loss = float(optimizer.step(closure))
        if previous - loss < 1e-6 * abs(previous) or computed >= most:
            break
        previous = loss
    return computed
