"""Where images come from: digits, torchvision's sets; read once, then kept as a cache file that workers map.

A source has two parts. `train` is what a search splits into train and validation; `test` is opened by
`confirm` alone.
"""

import contextlib
import glob
import hashlib
import importlib.util
import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from search.errors import UserError

Part = Literal["train", "test"]
Arrays = tuple[np.ndarray, np.ndarray, tuple[str, ...]]  # uint8 (n, c, h, w), int64 (n,), class names


@dataclass(frozen=True)
class CachedImages:
    """One part of a data set as files: `images` uint8 (n, c, h, w), `labels` int64 (n,)."""

    name: str
    images: Path
    labels: Path
    classes: tuple[str, ...]
    fingerprint: str  # of images and labels


@dataclass(frozen=True)
class Source:
    """A data set by name.

    read: part and data root -> arrays. location: the folder under the data root whose files tell whether
    the cache is still fresh; None for data that comes with a package.
    """

    read: Callable[[Part, Path], Arrays]
    flip: bool
    location: str | None = None


def read_digits(part: Part, root: Path) -> Arrays:
    """scikit-learn's 1,797 8x8 digits; a fifth of them, stratified, is the test part."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = digits.target.astype(np.int64)
    indices = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    chosen = np.sort(indices[part == "test"])
    return images[chosen], labels[chosen], tuple(str(name) for name in digits.target_names)


def torchvision_reader(name: str) -> Callable[[Part, Path], Arrays]:
    """A reader of torchvision's data set of that class name, downloaded where it is missing."""

    def read(part: Part, root: Path) -> Arrays:
        datasets = _torchvision_datasets()
        which: dict[str, Any] = {"split": part} if name == "SVHN" else {"train": part == "train"}
        make = getattr(datasets, name)
        try:
            dataset = make(str(root), download=False, **which)
        except RuntimeError:
            dataset = _download(make, name, root, which)
        except (AssertionError, ValueError, EOFError, OSError, pickle.UnpicklingError) as error:
            raise UserError(
                f"the files of {name} in {root} cannot be read ({type(error).__name__}); remove them to download anew"
            ) from error
        labels = dataset.labels if name == "SVHN" else dataset.targets
        classes = getattr(dataset, "classes", [str(digit) for digit in range(10)])
        return (
            _channels_first(np.asarray(dataset.data)),
            np.asarray(labels, np.int64),
            tuple(map(str, classes)),
        )

    return read


SOURCES: dict[str, Source] = {
    "digits": Source(read_digits, flip=False),
    "FashionMNIST": Source(torchvision_reader("FashionMNIST"), flip=True, location="FashionMNIST/raw"),
    "MNIST": Source(torchvision_reader("MNIST"), flip=False, location="MNIST/raw"),
    "KMNIST": Source(torchvision_reader("KMNIST"), flip=False, location="KMNIST/raw"),
    "CIFAR10": Source(torchvision_reader("CIFAR10"), flip=True, location="cifar-10-batches-py"),
    "CIFAR100": Source(torchvision_reader("CIFAR100"), flip=True, location="cifar-100-python"),
    "SVHN": Source(torchvision_reader("SVHN"), flip=False, location="."),
}


def load(name: str, part: Part, data_root: Path) -> CachedImages:
    """The images of one part, from the cache or read anew.

    Raises UserError for an unknown name, and where the files can be neither found nor downloaded.
    """
    if name not in SOURCES:
        raise UserError(f"there is no data set {name!r}; choose one of {', '.join(SOURCES)}")
    source = SOURCES[name]
    folder = cache_folder() / f"{name}-{part}-{_stamp(source, data_root)}"
    if not (folder / "meta.json").is_file():
        images, labels, classes = source.read(part, data_root)
        # a download has changed the stamp
        folder = cache_folder() / f"{name}-{part}-{_stamp(source, data_root)}"
        _write(folder, images, labels, classes)
    meta = json.loads((folder / "meta.json").read_text())
    return CachedImages(name, folder / "images.npy", folder / "labels.npy", tuple(meta["classes"]), meta["fingerprint"])


def cache_folder() -> Path:
    """`gapsearch` in the user's cache folder ($XDG_CACHE_HOME, or ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gapsearch"


def _stamp(source: Source, data_root: Path) -> str:
    """Changes when the files behind a source change."""
    state: list[object] = [1]  # version of the cache's layout
    if source.location is not None:
        location = (data_root / source.location).resolve()
        state.append(str(location))
        for file in sorted(location.glob("*")):
            state.append((file.name, file.stat().st_size, file.stat().st_mtime_ns))
    return hashlib.sha256(repr(state).encode()).hexdigest()[:16]


def _write(folder: Path, images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> None:
    """Write a cache entry next to its place, then move it there: nobody ever sees half of one."""
    images, labels = np.ascontiguousarray(images), np.ascontiguousarray(labels)
    digest = hashlib.sha256(repr((images.shape, classes)).encode())
    digest.update(images.data)
    digest.update(labels.data)
    meta = {"classes": list(classes), "fingerprint": digest.hexdigest()[:16]}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent))
        np.save(scratch / "images.npy", images)
        np.save(scratch / "labels.npy", labels)
        (scratch / "meta.json").write_text(json.dumps(meta))
        with contextlib.suppress(FileExistsError, IsADirectoryError):
            scratch.rename(folder)
        shutil.rmtree(scratch, ignore_errors=True)  # where another process was first
    except OSError as error:
        raise UserError(
            f"cannot write the image cache {folder.parent}: {error.strerror}; set XDG_CACHE_HOME to a folder with space"
        ) from error


def _channels_first(images: np.ndarray) -> np.ndarray:
    """(n, h, w), (n, h, w, 3) or (n, 3, h, w) -> (n, c, h, w)."""
    if images.ndim == 3:
        return images[:, None]
    return images if images.shape[1] == 3 else np.moveaxis(images, 3, 1)


def _download(make: Callable[..., Any], name: str, root: Path, which: dict[str, Any]) -> Any:  # noqa: ANN401
    try:
        with contextlib.redirect_stdout(None):
            return make(str(root), download=True, **which)
    except (OSError, RuntimeError) as error:  # torchvision tells of a failed download by either
        raise UserError(
            f"{name} is not in {root} and could not be downloaded; go online once, "
            f"or point --data-root at a folder that torchvision has filled"
        ) from error


def _torchvision_datasets() -> Any:  # noqa: ANN401
    """torchvision.datasets, also where torchvision's compiled operators do not fit the torch installed.

    A torchvision built for CUDA beside a torch built for the CPU cannot load its operators, and then fails
    to import because it describes two of them to torch. The data sets need none. Naming the two, without
    an implementation, lets the import pass.
    """
    import torch

    spec = importlib.util.find_spec("torchvision")
    folders = (spec.submodule_search_locations if spec else None) or []
    for library in [path for folder in folders for path in glob.glob(os.path.join(folder, "_C.*"))]:
        try:
            torch.ops.load_library(library)
        except OSError:
            boxes = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            for operator, schema in (("nms", boxes), ("qnms", boxes)):
                with contextlib.suppress(RuntimeError):  # named by an earlier call
                    torch.library.define(f"torchvision::{operator}", schema)
    from torchvision import datasets

    return datasets
