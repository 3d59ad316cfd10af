"""The data sets by name, and the wall around their test parts."""

import errno
import importlib.metadata
import struct
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from image_files import refusal

from search.data import datasets
from search.engine.launch import run_search
from search.errors import UserError
from search.settings import Settings


def write_mnist(root, images, labels, test_bytes=b"not an image file"):
    """A data set in torchvision's layout of MNIST whose test part cannot be read."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, *images.shape) + images.tobytes())
    (raw / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, len(labels)) + labels.tobytes())
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (raw / name).write_bytes(test_bytes)


def test_digits_keep_their_test_part_apart():
    train, test = (np.load(datasets.load("digits", part, Path("data")).images) for part in ("train", "test"))
    assert len(train) + len(test) == 1797
    assert len(test) == 360
    assert train.dtype == np.uint8
    assert train.max() == 255
    seen = {image.tobytes() for image in train}
    shared = sum(image.tobytes() in seen for image in test)
    assert shared <= 1  # the set itself holds a few identical digits


@pytest.mark.usefixtures("torchvision_datasets")
def test_the_cache_is_used_and_follows_the_files(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (60, 28, 28), dtype=np.uint8), np.arange(60, dtype=np.uint8) % 10
    write_mnist(tmp_path, images, labels)
    first, again = (datasets.load("MNIST", "train", tmp_path) for _ in range(2))
    assert first == again
    assert np.array_equal(np.load(first.images)[:, 0], images)
    raw = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    raw.write_bytes(raw.read_bytes()[:-1] + bytes([images[-1, -1, -1] ^ 1]))
    changed = datasets.load("MNIST", "train", tmp_path)
    assert changed.fingerprint != first.fingerprint


def test_of_svhn_only_its_own_files_make_the_cache_stale(tmp_path):
    """They lie in the data root itself, beside whatever is there."""
    (tmp_path / "train_32x32.mat").write_bytes(b"images")
    key = datasets._key("SVHN", "train", tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "lost_32x32.mat").symlink_to(tmp_path / "nowhere")
    assert datasets._key("SVHN", "train", tmp_path) == key
    (tmp_path / "train_32x32.mat").write_bytes(b"other images")
    assert datasets._key("SVHN", "train", tmp_path) != key


@pytest.mark.usefixtures("torchvision_datasets")
def test_a_whole_search_never_reads_the_test_split(tmp_path):
    """Its files are garbage here: reading them would fail, as the last line shows."""
    rng = np.random.default_rng(0)
    labels = np.arange(200, dtype=np.uint8) % 10
    images = (rng.integers(0, 60, (200, 28, 28)) + 15 * labels[:, None, None]).astype(np.uint8)
    write_mnist(tmp_path / "data", images, labels)
    settings = Settings(
        name="mnist", dataset="MNIST", trials=2, epochs=1, workers=1, device="cpu",
        data_root=tmp_path / "data", out=tmp_path / "run", train_size=100, val_size=50,
    )  # fmt: skip
    assert run_search(settings) is None
    with pytest.raises(UserError, match="cannot be read"):
        datasets.load("MNIST", "test", tmp_path / "data")


def test_missing_images_give_one_clear_line(tmp_path, monkeypatch, torchvision_datasets):
    def offline(self):
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision_datasets.MNIST, "download", offline)
    with pytest.raises(UserError, match=r"MNIST is not in .* could not be downloaded; go online once"):
        datasets.load("MNIST", "train", tmp_path)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EROFS, "Read-only file system", "/data"), "Read-only file system"),
        (PermissionError(errno.EACCES, "Permission denied", "/data"), "Permission denied"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/data"), "No such file or directory"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied"), None),  # no file: the network's
        (URLError(OSError(errno.ENOSPC, "No space left on device")), None),
    ],
)
def test_a_data_root_that_cannot_be_written_to_is_named(tmp_path, error, said):
    def make(root, download):
        raise error

    message = refusal(lambda: datasets._download(make, "MNIST", tmp_path, {}))
    expected = f"cannot write to --data-root {tmp_path}: {said}; name a folder that can be written"
    assert message.startswith(
        expected if said else f"MNIST is not in {tmp_path} and could not be downloaded; go online"
    )


def test_an_unknown_data_set_is_named():
    with pytest.raises(UserError, match="no data set 'imagenet'; choose one of digits, FashionMNIST"):
        datasets.load("imagenet", "train", Path("data"))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("RuntimeError", "operator torchvision::nms does not exist"),
        ("ImportError", "undefined symbol: _ZNK3c106SymInt6sym_neERKS0_"),
        ("OSError", "libcudart.so.13: cannot open shared object file"),
    ],
)
def test_a_torchvision_that_does_not_fit_gives_one_clear_line(tmp_path, monkeypatch, kind, said):
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(f"raise {kind}({said!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    torch, torchvision = (importlib.metadata.version(name) for name in ("torch", "torchvision"))
    assert refusal(lambda: datasets.load("MNIST", "train", tmp_path)) == (
        f"torchvision {torchvision} does not fit torch {torch}: {kind}: {said} (__init__.py:1); "
        f"install a pair that fits: pip install --upgrade --force-reinstall torch torchvision"
    )


@pytest.mark.data
@pytest.mark.usefixtures("torchvision_datasets")
def test_fashion_mnist_is_read_from_torchvisions_layout():
    root = Path(__file__).parents[3] / "shared" / "data"
    if not (root / "FashionMNIST").is_dir():
        pytest.skip("no FashionMNIST beside the repository")
    source = datasets.load("FashionMNIST", "train", root)
    assert np.load(source.images, mmap_mode="r").shape == (60000, 1, 28, 28)
    assert source.classes[9] == "Ankle boot"
