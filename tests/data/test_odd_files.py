"""Things in a folder of images that are no files."""

import os
import socket

import pytest
from PIL import Image

from search.data.decoding import BadImage, decode, shorter_side
from search.data.folder import load
from search.errors import UserError


@pytest.fixture
def images(tmp_path, own_cache):
    """Two classes of six images each."""
    for shade, name in enumerate(("train/oak", "train/elm", "test/oak", "test/elm")):
        (tmp_path / "leaves" / name).mkdir(parents=True)
        for number in range(6):
            Image.new("L", (8, 8), 20 * number + shade).save(tmp_path / "leaves" / name / f"{number}.png")
    return tmp_path / "leaves"


def pipe(path):
    os.mkfifo(path)


def itself(path):
    path.symlink_to(path.name)


def socket_file(path):
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(path))


def device(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (pipe, "no regular file"),
        (device, "no regular file"),
        (itself, "Too many levels of symbolic links"),
        (socket_file, "no regular file"),
    ],
)
def test_what_is_no_file_is_no_image(images, monkeypatch, make, reason):
    monkeypatch.chdir(images)  # the path of a socket is short
    path = images / "train" / "oak" / "odd.png"
    make(path.relative_to(images) if make is socket_file else path)
    for read in (lambda: decode(str(path), 8), lambda: shorter_side(str(path))):
        with pytest.raises(BadImage, match=reason):
            read()
    with pytest.raises(UserError, match=rf"cannot read .*oak/odd\.png: {reason}; repair or remove it"):
        load("train", images, 8)
    assert len(load("train", images, 8, skip_bad_images=True).bad) == 1
