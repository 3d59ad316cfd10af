"""The data sets by name: digits, torchvision's sets, a folder of images; read once, then mapped from the cache.

Each has two parts. `train` is what a search splits into train and validation; `test` is opened by
`confirm` alone.
"""

import contextlib
import errno
import hashlib
import importlib.metadata
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from search.data import FOLDER, TrainOrTest, cache, cache_room, folder
from search.data.cache import CachedImages, Contents
from search.errors import UserError, described

FULL = {errno.ENOSPC, errno.EDQUOT}
CANNOT_WRITE = FULL | {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR}  # where a file is named
Arrays = tuple[np.ndarray, np.ndarray, tuple[str, ...]]  # uint8 (n, c, h, w), int64 (n,), class names


@dataclass(frozen=True)
class Source:
    """A data set."""

    # part and data root -> arrays; None for a folder of images, which `search.data.folder` reads
    read: Callable[[TrainOrTest, Path], Arrays] | None
    flip: bool  # whether a mirrored image is still one of its class
    # the folder under the data root whose files tell whether the cache is still fresh; None for data of a package
    location: str | None = None
    files: str = "*"  # there, as a pattern


def read_digits(part: TrainOrTest, root: Path) -> Arrays:
    """scikit-learn's 1,797 8x8 digits; a fifth of them, stratified, is the test part."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = digits.target.astype(np.int64)
    indices = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    chosen = np.sort(indices[part == "test"])
    return images[chosen], labels[chosen], tuple(str(name) for name in digits.target_names)


def torchvision_datasets() -> ModuleType:
    """`torchvision.datasets`, which takes seconds to import.

    Raises UserError where the torchvision installed cannot be imported beside the torch installed.
    """
    try:
        from torchvision import datasets
    except (ImportError, OSError, RuntimeError) as error:
        torch, torchvision = (importlib.metadata.version(name) for name in ("torch", "torchvision"))
        raise UserError(
            f"torchvision {torchvision} does not fit torch {torch}: {described(error)}; install a pair that fits: "
            f"pip install --upgrade --force-reinstall torch torchvision"
        ) from error
    return datasets


def torchvision_reader(name: str) -> Callable[[TrainOrTest, Path], Arrays]:
    """A reader of torchvision's data set of that class name, downloaded where it is missing.

    It raises UserError where the files can be neither found nor downloaded, or cannot be read.
    """

    def read(part: TrainOrTest, root: Path) -> Arrays:
        make = getattr(torchvision_datasets(), name)
        which: dict[str, Any] = {"split": part} if name == "SVHN" else {"train": part == "train"}
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
    "SVHN": Source(torchvision_reader("SVHN"), flip=False, location=".", files="*_32x32.mat"),
    FOLDER: Source(None, flip=True),
}


def load(
    name: str, part: TrainOrTest, data_root: Path, *, image_size: int | None = None, skip_bad_images: bool = False
) -> CachedImages:
    """The images of one part, from the cache or read anew.

    image_size (pixels) and skip_bad_images are for a folder of images, see `search.data.folder.load`; the
    other sets have one size and are not damaged.

    Raises UserError for an unknown name, where the files can be neither found nor downloaded, and for a
    folder that cannot be searched on.
    """
    if name not in SOURCES:
        raise UserError(f"there is no data set {name!r}; choose one of {', '.join(SOURCES)}")
    if SOURCES[name].read is None:
        entry = folder.load(part, data_root, image_size, skip_bad_images)
    else:
        entry = cache.find(name, _key(name, part, data_root)) or _read(name, part, data_root)
    cache_room.hold(entry.images.parent)
    cache_room.make_room()
    return entry


def _read(name: str, part: TrainOrTest, data_root: Path) -> CachedImages:
    """Read one part anew and store it in the cache, unless another process does so now. Raises UserError."""
    read = SOURCES[name].read
    assert read is not None
    with cache.alone(name):
        return cache.find(name, _key(name, part, data_root)) or _store(name, part, data_root, read)


def _store(name: str, part: TrainOrTest, data_root: Path, read: Callable[[TrainOrTest, Path], Arrays]) -> CachedImages:
    images, labels, classes = read(part, data_root)

    def fill(scratch: Path) -> Contents:
        np.save(scratch / "images.npy", np.ascontiguousarray(images))
        return Contents(labels, classes)

    return cache.store(name, _key(name, part, data_root), fill)  # a download has changed the key


def _key(name: str, part: TrainOrTest, data_root: Path) -> str:
    """What the cache keeps a part under: another one once the files behind it have changed."""
    state: list[object] = [1]  # version of the cache's layout
    location = SOURCES[name].location
    if location is not None:
        place = (data_root / location).resolve()
        state.append(str(place))
        for file in sorted(filter(Path.is_file, place.glob(SOURCES[name].files))):
            state.append((file.name, file.stat().st_size, file.stat().st_mtime_ns))
    return f"{part}-{hashlib.sha256(repr(state).encode()).hexdigest()[:16]}"


def _channels_first(images: np.ndarray) -> np.ndarray:
    """(n, h, w), (n, h, w, 3) or (n, 3, h, w) -> (n, c, h, w)."""
    if images.ndim == 3:
        return images[:, None]
    return images if images.shape[1] == 3 else np.moveaxis(images, 3, 1)


def _download(make: Callable[..., Any], name: str, root: Path, which: dict[str, Any]) -> Any:  # noqa: ANN401
    """The data set that `make` gives once it has downloaded the files. Raises UserError where it cannot."""
    try:
        with contextlib.redirect_stdout(None):
            return make(str(root), download=True, **which)
    except (OSError, RuntimeError) as error:  # torchvision tells of a failed download by either
        if isinstance(error, OSError) and error.errno in (CANNOT_WRITE if error.filename else FULL):
            raise UserError(
                f"cannot write to --data-root {root}: {error.strerror}; name a folder that can be written"
            ) from error
        raise UserError(
            f"{name} is not in {root} and could not be downloaded; go online once, "
            f"or point --data-root at a folder that torchvision has filled"
        ) from error
