"""What a network does on each image of a split: the one function behind the losses of train probe and validation."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from search.balance import reweighted
from search.data.tensors import DeviceData
from search.measurement import PerImage, mean_recall
from search.training.precision import Precision

ON_A_CPU = 128  # images at once
FEWEST, MOST = 32, 4096  # on a GPU
VALUES = MOST * 3 * 32 * 32  # of these together


def evaluate(
    model: torch.nn.Module,
    data: DeviceData,
    indices: torch.Tensor,
    precision: Precision,
    batch_size: int | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> PerImage:
    """Losses, hits and predicted classes of `model` on `data.images[indices]`, in eval mode and without augmentation.

    The network runs in `precision`; the loss is taken in float32. Where `data` weighs the classes, so do the losses
    (`search.balance.reweighted`). Leaves the model's mode as it found it.

    go_on: called before each batch; may raise.
    """
    losses, correct, predicted = [], [], []
    for logits, labels in _outputs(model, data, indices, precision, batch_size, go_on):
        losses.append(torch.nn.functional.cross_entropy(logits, labels, reduction="none"))
        predicted.append(logits.argmax(dim=1))
        correct.append(predicted[-1] == labels)
    of_images = [torch.cat(parts).cpu().numpy() for parts in (losses, correct, predicted)]
    return _by_class(PerImage(of_images[0], of_images[1], of_images[2]), data, data.labels[indices])


def logits_of(model: torch.nn.Module, data: DeviceData, indices: torch.Tensor, precision: Precision) -> np.ndarray:
    """What `model` gives out for those images, float32 (n, classes); measured as in `evaluate`."""
    return torch.cat([logits for logits, _ in _outputs(model, data, indices, precision)]).cpu().numpy()


def _outputs(
    model: torch.nn.Module,
    data: DeviceData,
    indices: torch.Tensor,
    precision: Precision,
    batch_size: int | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Logits in float32 and labels, batch by batch, in eval mode; leaves the model's mode as it found it."""
    batch_size = batch_size or (on_a_gpu(data.images.shape[1:]) if indices.is_cuda else ON_A_CPU)
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for chunk in indices.split(batch_size):
            go_on()
            images = precision.place(data.normalize(data.pixels(chunk)))
            with precision.autocast(images.device.type):
                logits = model(images)
            yield logits.float(), data.labels[chunk]
    model.train(was_training)


def on_a_gpu(shape: Sequence[int]) -> int:
    """Images at once, of that shape: of large ones fewer, so that the maps of a network find room."""
    return min(max(VALUES // math.prod(shape), FEWEST), MOST)


def _by_class(of_images: PerImage, data: DeviceData, labels: torch.Tensor) -> PerImage:
    """With losses weighed as `data` weighs the classes, and the balanced accuracy where these are uneven."""
    if data.class_weights is not None:
        weights = data.class_weights[labels].cpu().numpy()
        of_images = replace(of_images, losses=reweighted(of_images.losses, weights))
    correct = torch.from_numpy(of_images.correct)
    return replace(of_images, balanced_accuracy=balanced_accuracy(correct, labels, data.uneven))


def balanced_accuracy(correct: torch.Tensor, labels: torch.Tensor, uneven: bool) -> float | None:
    """The mean recall of the classes; None where these are not uneven. correct: bool (n,); labels: int (n,)."""
    return mean_recall(labels.cpu().numpy(), correct.cpu().numpy()) if uneven else None
