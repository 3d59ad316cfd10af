"""What a part of a network that is not trained makes of the images: computed once, and kept for later trainings.

Features lie in the image cache, one file for each set of weights and of images, and go as the images there do.
"""

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from search.data.cache import cache_folder
from search.data.cache_room import hold
from search.data.tensors import DeviceData
from search.files import locked, replace_file
from search.training.precision import Precision

BATCH = 128  # images; the last digits may depend on it


class Features(DeviceData):
    """Features (n, width, 1, 1) in the place of images; they are neither scaled nor normalized."""

    def pixels(self, indices: torch.Tensor) -> torch.Tensor:
        """Those features as they are."""
        return self.images[indices]

    def normalize(self, pixels: torch.Tensor) -> torch.Tensor:
        """They are not."""
        return pixels


def features_of(
    body: torch.nn.Module, data: DeviceData, precision: Precision, go_on: Callable[[], None] = lambda: None
) -> Features:
    """`data` as `body` sees it: train and validation split, with labels and probe.

    Read from the cache where they are there. Where the cache cannot be written they are computed each time.

    go_on: called before each batch, and while another process computes the same; may raise.
    """
    indices = torch.cat([data.train, data.val])
    key = _key(body, data, indices, precision)
    found = _cached(key, lambda: _compute(body, data, indices, precision, go_on), go_on)
    place = torch.empty(len(data.images), dtype=torch.long, device=indices.device)
    place[indices] = torch.arange(len(indices), device=indices.device)
    return Features(
        images=found.to(data.images.device)[:, :, None, None],
        labels=data.labels[indices],
        train=place[data.train],
        val=place[data.val],
        probe=place[data.probe],
        mean=data.mean,
        std=data.std,
        classes=data.classes,
        flip=data.flip,
        class_weights=data.class_weights,
        uneven=data.uneven,
    )


def _compute(
    body: torch.nn.Module, data: DeviceData, indices: torch.Tensor, precision: Precision, go_on: Callable[[], None]
) -> np.ndarray:
    """float32 (len(indices), width)."""
    parts = []
    with torch.inference_mode():
        for chunk in indices.split(BATCH):
            go_on()
            images = precision.place(data.normalize(data.pixels(chunk)))
            with precision.autocast(images.device.type):
                parts.append(body(images).float().cpu())
    return torch.cat(parts).numpy()


def _key(body: torch.nn.Module, data: DeviceData, indices: torch.Tensor, precision: Precision) -> str | None:
    """A hash of all that features depend on; None where the images have no fingerprint."""
    if data.fingerprint is None:
        return None
    kind = data.images.device.type
    state = (data.fingerprint, tuple(data.images.shape), precision, kind, torch.__version__, str(body))
    digest = hashlib.sha256(repr(state).encode())
    for tensor in (indices, data.mean, data.std, *body.state_dict().values()):
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _cached(key: str | None, compute: Callable[[], np.ndarray], go_on: Callable[[], None]) -> torch.Tensor:
    """What was computed under that key, by whichever process."""
    if key is None:
        return torch.from_numpy(compute())
    path = cache_folder() / f"features-{key}" / "features.npy"
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # where nothing can be written, each process computes for itself
            lock = path.parent.with_name(f".{path.parent.name}.lock")
            stack.enter_context(locked(lock, "computes the same features", go_on))
        found = _read(path)
        if found is None:
            found = compute()
            with contextlib.suppress(OSError):
                replace_file(path, lambda scratch: _write(scratch, found))
    hold(path.parent)
    return torch.from_numpy(found)


def _read(path: Path) -> np.ndarray | None:
    """Mapped into memory, and so shared by all who use it; None where there is nothing of use."""
    try:
        return np.load(path, mmap_mode="c")  # "c": as with images, nobody writes to it
    except (OSError, ValueError, EOFError):
        return None


def _write(path: Path, features: np.ndarray) -> None:
    with open(path, "wb") as file:  # given a path, NumPy adds to its name
        np.save(file, features)
