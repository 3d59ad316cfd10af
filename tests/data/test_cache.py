"""What is decoded once and found again, and what a failure leaves."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from image_files import fill, pixels, refusal, save
from PIL import Image

from search.data import cache, datasets, folder
from search.data.listing import find_images

pytestmark = pytest.mark.usefixtures("own_cache")


def left() -> list[Path]:
    """What is in the cache, but for the files that are locked, and for what is known of copies."""
    paths = cache.cache_folder().iterdir()
    return [path for path in paths if path.suffix != ".lock" and not path.name.startswith("copies-")]


def test_second_start_decodes_nothing(tmp_path, monkeypatch):
    home = fill(tmp_path / "data")
    first = datasets.load("folder", "train", home)
    monkeypatch.setattr(folder, "decode_all", None)
    assert datasets.load("folder", "train", home) == first


def test_a_changed_file_counts(tmp_path):
    home = fill(tmp_path / "data")
    first = datasets.load("folder", "train", home)
    changed = Path(find_images(home).train.paths[0])
    save(changed, Image.new("RGB", (16, 16), "white"))
    os.utime(changed, ns=(time.time_ns(), time.time_ns() + 10**9))
    assert datasets.load("folder", "train", home).fingerprint != first.fingerprint


def test_sizes_are_kept_apart(tmp_path):
    home = fill(tmp_path / "data")
    sizes = [pixels(datasets.load("folder", "train", home, image_size=size)).shape[2] for size in (16, 8, 16)]
    assert sizes == [16, 8, 16]


def test_nothing_is_left_after_a_failure(tmp_path, monkeypatch):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "decode_all", interrupt)
    with pytest.raises(KeyboardInterrupt):
        datasets.load("folder", "train", fill(tmp_path / "data"))
    assert left() == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("4096 requested and 1024 written"), "OSError: 4096 requested and 1024 written"),  # NumPy's
    ],
)
def test_full_disk(tmp_path, monkeypatch, error, reason):
    def full(*_arguments):
        raise error

    monkeypatch.setattr(folder, "decode_all", full)
    home = fill(tmp_path / "data")
    message = refusal(lambda: datasets.load("folder", "train", home))
    assert message.startswith(f"cannot write the image cache {cache.cache_folder()}: {reason}")


SLOW_START = """
import logging, sys, time
from pathlib import Path
from search.data import datasets, folder
from search.log import show_log
def slow(*arguments):
    print("decodes", flush=True)
    time.sleep(4)
    return decode_all(*arguments)
show_log()
logging.getLogger("search.data.folder").setLevel("WARNING")
decode_all, folder.decode_all = folder.decode_all, slow
print(datasets.load("folder", "train", Path(sys.argv[1]), image_size=16).fingerprint)
"""


def start(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SLOW_START, home], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("killed", [False, True])
def test_of_two_starts_the_second_waits_for_the_first(tmp_path, killed):
    """It uses what the first has decoded; where the first is killed, it decodes itself."""
    home = fill(tmp_path / "data")
    first = start(home)
    assert first.stdout.readline() == "decodes\n"
    second = start(home)
    assert second.stdout.readline() == "waiting for another process that reads the images of folder into the cache\n"
    if killed:
        first.kill()
    said, again = (process.communicate(timeout=60)[0].split() for process in (first, second))
    assert second.returncode == 0
    assert again == ["decodes", *again[-1:]] if killed else again == said
    assert len(left()) == 1


def test_what_a_killed_start_left_is_removed_and_what_a_live_one_fills_is_not(tmp_path):
    home = fill(tmp_path / "data")
    process = start(home)
    assert process.stdout.readline() == "decodes\n"
    while not left():
        time.sleep(0.01)
    cache.remove_leftovers()
    assert len(left()) == 1
    process.kill()
    process.wait()
    cache.remove_leftovers()
    assert left() == []


DAMAGES = {  # each done to the folder of an entry
    "images missing": lambda entry: (entry / "images.npy").unlink(),
    "images cut": lambda entry: os.truncate(entry / "images.npy", 500),
    "images empty": lambda entry: os.truncate(entry / "images.npy", 0),
    "images garbled": lambda entry: (entry / "images.npy").write_bytes(b"garbage" * 999),
    "pixels garbled": lambda entry: overwrite(entry / "images.npy", 300, b"garbage"),
    "images of another shape": lambda entry: np.save(entry / "images.npy", np.zeros((5, 3, 16, 16), np.uint8)),
    "images too long": lambda entry: (entry / "images.npy").open("ab").write(b"more"),
    "labels missing": lambda entry: (entry / "labels.npy").unlink(),
    "labels empty": lambda entry: os.truncate(entry / "labels.npy", 0),
    "labels of no class": lambda entry: np.save(entry / "labels.npy", np.full(16, 7)),
    "description missing": lambda entry: (entry / "meta.json").unlink(),
    "description cut": lambda entry: os.truncate(entry / "meta.json", 20),
    "description garbled": lambda entry: (entry / "meta.json").write_bytes(b"\xff\x00{"),
    "description of other types": lambda entry: (entry / "meta.json").write_text('{"classes": 3, "fingerprint": []}'),
    "no description": lambda entry: (entry / "meta.json").write_text("[]"),
    "another fingerprint": lambda entry: change(entry / "meta.json", fingerprint="0" * 16),
    "a file in its place": lambda entry: (shutil.rmtree(entry), entry.write_text("")),
    "an empty folder": lambda entry: (shutil.rmtree(entry), entry.mkdir()),
}


def overwrite(path: Path, where: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(where)
        file.write(content)


def change(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_entry(tmp_path, caplog, damage):
    """It is said, and the images are read again."""
    caplog.set_level("INFO", "search.data.cache")
    home = fill(tmp_path / "data")
    sound = datasets.load("folder", "train", home)
    before = sound.images.read_bytes(), sound.labels.read_bytes()
    damage(sound.images.parent)
    caplog.clear()
    assert datasets.load("folder", "train", home, image_size=16) == sound
    assert (sound.images.read_bytes(), sound.labels.read_bytes()) == before
    (line,) = (record.message for record in caplog.records if record.name == "search.data.cache")
    assert line.startswith(f"the image cache {sound.images.parent} is damaged (")
    assert line.endswith("); the images of folder are read again")
    assert "\n" not in line


def test_the_entry_of_a_data_set_by_name_is_read_again_too():
    sound = datasets.load("digits", "train", Path("data"))
    sound.labels.write_bytes(b"")
    assert datasets.load("digits", "train", Path("data")) == sound
    assert sound.labels.stat().st_size > 0
