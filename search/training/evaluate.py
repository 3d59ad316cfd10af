"""The generalization gap, measured cleanly.

Both losses of an epoch come from one function, `evaluate`: the same weights, eval mode, images not
augmented, no label smoothing. Only so is their difference the gap, and not the strength of a regularizer.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # takes seconds to import, and who reads figures alone does without
    import torch

    from search.data.tensors import DeviceData
    from search.training.precision import Precision
from search.measurement import PerImage


def evaluate(
    model: "torch.nn.Module",
    data: "DeviceData",
    indices: "torch.Tensor",
    precision: "Precision",
    batch_size: int | None = None,
) -> PerImage:
    """Losses and hits of `model` on `data.images[indices]`, in eval mode and without augmentation.

    The network runs in `precision`; the loss is taken in float32. Leaves the model's mode as it found it.
    """
    import torch

    batch_size = batch_size or (4096 if indices.is_cuda else 128)
    was_training = model.training
    model.eval()
    losses, correct = [], []
    with torch.inference_mode():
        for chunk in indices.split(batch_size):
            images = precision.place(data.normalize(data.pixels(chunk)))
            labels = data.labels[chunk]
            with precision.autocast(images.device.type):
                logits = model(images)
            logits = logits.float()
            losses.append(torch.nn.functional.cross_entropy(logits, labels, reduction="none"))
            correct.append(logits.argmax(dim=1) == labels)
    model.train(was_training)
    return PerImage(torch.cat(losses).cpu().numpy(), torch.cat(correct).cpu().numpy())
