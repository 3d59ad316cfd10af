"""A folder of images: what is read from it, and what is said about one that cannot be searched on."""

import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from builders import best_content
from image_files import COLOURS, fill, pixels, refusal, save
from PIL import Image

from search import Search
from search.data import copies, datasets, folder
from search.data.image_size import choose_size
from search.data.listing import find_images
from search.settings import Settings
from search.study import parse

pytestmark = pytest.mark.usefixtures("own_cache")


class TestParts:
    def test_undivided(self, tmp_path):
        home = fill(tmp_path / "data", count=10)
        found = find_images(home)
        train, test = found.train, found.test
        assert train.classes == test.classes == ("blue", "red")
        assert np.bincount(train.labels).tolist() == [8, 8]
        assert np.bincount(test.labels).tolist() == [2, 2]
        assert not set(train.names) & set(test.names)
        assert train.names == sorted(train.names)
        assert all(name.startswith(train.classes[label]) for name, label in zip(train.names, train.labels, strict=True))

    def test_another_image_moves_hardly_any(self, tmp_path):
        home = fill(tmp_path / "data", count=50)
        before = set(find_images(home).test.names)
        fill(home, count=1, first=900)
        assert len(before - set(find_images(home).test.names)) <= 2

    def test_divided(self, tmp_path):
        fill(tmp_path / "data" / "train", count=6)
        fill(tmp_path / "data" / "test", count=2, first=200)
        train, test = (datasets.load("folder", part, tmp_path / "data") for part in ("train", "test"))
        assert pixels(train).shape == (12, 3, 16, 16)
        assert pixels(test).shape == (4, 3, 16, 16)
        assert np.load(test.labels).tolist() == [0, 0, 1, 1]
        assert pixels(train)[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40, 50, 40, 50, 60, 70, 80, 90]

    @pytest.mark.parametrize("divided", [True, False])
    def test_a_search_opens_test_images_to_find_copies_alone(self, tmp_path, divided, monkeypatch):
        home = tmp_path / "data"
        fill(home / "train" if divided else home)
        if divided:
            fill(home / "test", count=2, first=500)
        train, test = (set(part.paths) for part in (find_images(home).train, find_images(home).test))
        opened = []
        original = Image.open
        monkeypatch.setattr(Image, "open", lambda path, **options: opened.append(path) or original(path, **options))
        copies.saved_anew([*train, *test])
        assert set(opened) == train | test
        opened.clear()
        monkeypatch.setattr(folder, "saved_anew", lambda paths: [])
        datasets.load("folder", "train", home)
        assert set(opened) == train
        datasets.load("folder", "test", home)
        assert set(opened) == train | test

    def test_a_class_may_be_called_train(self, tmp_path):
        home = fill(tmp_path / "data", classes=("bus", "train"))
        assert find_images(home).train.classes == ("bus", "train")

    def test_stray_files_are_no_images(self, tmp_path, said):
        home = fill(tmp_path / "data")
        for name in ("README.txt", "blue/Thumbs.db", "blue/.DS_Store", "blue/._001.png", ".hidden/a.png"):
            (home / name).parent.mkdir(exist_ok=True)
            (home / name).write_bytes(b"stray")
        (home / "red" / "notes").mkdir()
        (home / "red" / "notes" / "text.txt").touch()
        assert len(pixels(datasets.load("folder", "train", home))) == 16
        assert "left aside: 2 files that are no images, blue/Thumbs.db, red/notes/text.txt" in said()

    def test_any_name_makes_a_class(self, tmp_path):
        names = ["<b>&amp;", "a b'\"", "猫", "日本語\u200b", "Ω", "None", "été"]
        home = fill(tmp_path / "data", classes=names)
        entry = datasets.load("folder", "train", home)
        assert entry.classes == tuple(sorted(names))
        assert datasets.load("folder", "train", home).classes == entry.classes
        assert yaml.safe_load(yaml.safe_dump(list(entry.classes), allow_unicode=True)) == sorted(names)

    def test_a_name_that_is_no_text(self, tmp_path):
        home = fill(tmp_path / "data")
        try:
            os.rename(home / "blue", os.fsencode(home) + b"/bl\xffue")
        except OSError:
            pytest.skip("this file system wants UTF-8")
        entry = datasets.load("folder", "train", home)
        assert entry.classes == ("bl\ufffdue", "red")


class TestPixels:
    def test_all_grey(self, tmp_path):
        fill(tmp_path / "data", mode="L")
        save(tmp_path / "data" / "red" / "colourless.png", Image.new("RGB", (16, 16), (9, 9, 9)))
        assert pixels(datasets.load("folder", "train", tmp_path / "data")).shape[1] == 1

    def test_a_bad_image_has_no_colour(self, tmp_path):
        home = fill(tmp_path / "data", mode="L")
        Path(find_images(home).train.paths[3]).write_bytes(b"no image")
        assert pixels(datasets.load("folder", "train", home, skip_bad_images=True)).shape[1] == 1

    def test_grey_beside_colour(self, tmp_path):
        fill(tmp_path / "data", mode="L")
        name = find_images(tmp_path / "data").train.names[5]
        save(tmp_path / "data" / name, Image.new("RGB", (16, 16), COLOURS["red"]))
        stored = pixels(datasets.load("folder", "train", tmp_path / "data"))
        assert stored.shape[1] == 3
        assert stored[5, :, 0, 0].tolist() == list(COLOURS["red"])
        assert (stored[4] == stored[4, 0]).all()

    @pytest.mark.parametrize(("train_mode", "test_mode", "channels"), [("L", "RGB", 1), ("RGB", "L", 3)])
    def test_the_test_part_follows_the_train_part(self, tmp_path, train_mode, test_mode, channels):
        home = tmp_path / "data"
        fill(home / "train", mode=train_mode)
        fill(home / "test", mode=test_mode, count=2, size=(64, 64))
        test = pixels(datasets.load("folder", "test", home))
        assert test.shape == (4, channels, 16, 16)
        if channels == 1:
            assert test[3, 0, 0, 0] == round(0.299 * 50 + 0.587 * 100 + 0.114 * 77)

    @pytest.mark.parametrize(
        ("sides", "size"),
        [
            ([28] * 9, 28),
            ([32] * 9, 32),
            ([224] * 9, 64),
            ([300] * 9, 64),
            ([5] * 9, 8),
            ([20, 31, 500], 24),
            ([500, 33, 20], 32),
            ([1000, 2000, 3000], 64),
            ([64, 63, 63], 48),
            ([10, 11], 8),
        ],
    )
    def test_default_size(self, sides, size):
        assert choose_size(sides) == size

    def test_default_size_is_said(self, tmp_path, said):
        home = fill(tmp_path / "data", size=(90, 40))
        fill(home, size=(50, 70), first=100)
        fill(home, size=(40, 41), first=200)
        assert pixels(datasets.load("folder", "train", home)).shape[2:] == (32, 32)
        expected = "image size 32: the shorter sides of 48 images are 40 to 50 pixels, median 40"
        assert expected in said()

    def test_image_size(self, tmp_path, capsys):
        home = fill(tmp_path / "data", size=(90, 40))
        assert pixels(datasets.load("folder", "train", home, image_size=20)).shape[2:] == (20, 20)
        assert "image size" not in capsys.readouterr().out


class TestBadInput:
    """One line each: the culprit, then the remedy."""

    def load(self, home: Path, **options) -> str:
        return refusal(lambda: datasets.load("folder", "train", home, **options))

    def test_missing_folder(self, tmp_path):
        assert self.load(tmp_path / "none") == (
            f"there is no folder {tmp_path / 'none'}; name one that has a folder for each class"
        )

    def test_empty_folder(self, tmp_path):
        (tmp_path / "data").mkdir()
        assert self.load(tmp_path / "data") == (
            f"there are no images in {tmp_path / 'data'}; give each class a folder of its own with its images"
        )

    def test_one_class(self, tmp_path):
        home = fill(tmp_path / "data", classes=["blue"])
        assert self.load(home) == f"{home} has one class folder alone, 'blue'; add one for each other class"

    @pytest.mark.parametrize("layout", ["", "train"])
    def test_image_in_no_class(self, tmp_path, layout):
        home = tmp_path / "data"
        fill(home / layout)
        if layout:
            fill(home / "test", first=500)
        save(home / layout / "stray.JPG", Image.new("RGB", (8, 8)), format="JPEG")
        path = home / layout / "stray.JPG"
        assert self.load(home) == f"the image {path} is in no class folder; move it into the folder of its class"

    @pytest.mark.parametrize(("count", "said"), [(1, "1 image"), (4, "4 images")])
    def test_too_few_images(self, tmp_path, count, said):
        home = fill(tmp_path / "data")
        (home / "green").mkdir()
        fill(home, classes=["green"], count=count, first=1000)
        assert self.load(home) == (
            f"class 'green' has {said}, too few to split; add some until there are 5, or remove the class folder"
        )

    def test_too_few_train_images(self, tmp_path):
        fill(tmp_path / "data" / "train", count=3)
        fill(tmp_path / "data" / "test", count=1, first=9)
        assert (
            "classes 'blue' has 3 images, 'red' has 3 images, too few to split; add some until there are 4"
            in self.load(tmp_path / "data")
        )

    @pytest.mark.parametrize(("have", "missing"), [("train", "test"), ("test", "train")])
    def test_half_a_division(self, tmp_path, have, missing):
        home = tmp_path / "data"
        fill(home / have)
        assert self.load(home) == (
            f"{home} has a folder {have} with class folders, and no folder {missing}; add one with the same classes, "
            f"or name {home / have} to have a fifth of each class set aside as the test part"
        )

    def test_different_classes(self, tmp_path):
        home = tmp_path / "data"
        fill(home / "train", classes=["a", "b", "dog"])
        fill(home / "test", classes=["a", "b", "Dog"], first=500)
        assert self.load(home) == (
            f"train and test in {home} differ in their classes: 'Dog' is in test alone, 'dog' is in train alone; "
            f"give both the same class folders"
        )

    def test_corrupt_image(self, tmp_path):
        home = fill(tmp_path / "data")
        names = find_images(home).train.names
        (home / names[3]).write_bytes(b"no image")
        assert self.load(home) == (
            f"cannot read {home}/{names[3]}: no image that can be identified; "
            f"repair or remove it, or pass --skip-bad-images"
        )
        (home / names[9]).unlink()
        (home / names[9]).symlink_to("nowhere")
        assert self.load(home) == (
            f"cannot read 2 images in {home}, {names[3]}: no image that can be identified, {names[9]}: No such file or "
            f"directory; repair or remove them, or pass --skip-bad-images"
        )

    def test_skip_bad_images(self, tmp_path, said):
        home = fill(tmp_path / "data")
        names = find_images(home).train.names
        everything = pixels(datasets.load("folder", "train", home))
        for number in (3, 9):
            (home / names[number]).write_bytes(b"no image")
        for _ in range(2):  # decoded, then from the cache
            entry = datasets.load("folder", "train", home, skip_bad_images=True)
            assert np.load(entry.labels).tolist() == [0] * 7 + [1] * 7
            assert (pixels(entry) == np.delete(everything, [3, 9], axis=0)).all()
            line = f"skipped 2 images that cannot be read, the first: {names[3]}: no image that can be identified"
            assert line in said()
        assert "pass --skip-bad-images" in self.load(home)

    def test_too_few_left(self, tmp_path):
        home = fill(tmp_path / "data")
        for name in find_images(home).train.names[2:8]:
            (home / name).write_bytes(b"no image")
        assert "class 'blue' has 2 images, too few to split" in self.load(home, skip_bad_images=True)

    @pytest.mark.parametrize("image_size", [None, 8])
    def test_no_image_can_be_read(self, tmp_path, image_size):
        home = fill(tmp_path / "data")
        for path in home.glob("*/*.png"):
            path.write_bytes(b"no image")
        message = self.load(home, skip_bad_images=True, image_size=image_size)
        assert "can be read" in message
        assert find_images(home).train.names[0].split("/")[0] in message

    def test_unreadable_folder(self, tmp_path, monkeypatch):
        home = fill(tmp_path / "data")
        original = os.scandir

        def scandir(path):
            if Path(path).name == "red":
                raise PermissionError(13, "Permission denied", str(path))
            return original(path)

        monkeypatch.setattr(os, "scandir", scandir)
        assert self.load(home) == f"cannot read {home / 'red'}: Permission denied; make it readable"


class TestFlags:
    STUDY = {"name": "folder", "dataset": "folder"}  # noqa: RUF012

    def test_folder_study(self):
        settings = parse(["--image-size", "48", "--skip-bad-images"], self.STUDY)
        assert settings.image_size == 48
        assert settings.skip_bad_images
        assert parse([], self.STUDY) == Search(**self.STUDY)

    @pytest.mark.parametrize("flag", [["--image-size", "48"], ["--skip-bad-images"]])
    def test_no_other_study_has_them(self, flag):
        message = refusal(lambda: parse(flag, {"name": "digits", "dataset": "digits"}))
        assert message == f"unrecognized arguments: {' '.join(flag)}; see --help"

    def test_smallest_size(self):
        assert refusal(lambda: parse(["--image-size", "7"], self.STUDY)) == "--image-size is 7; it must be at least 8"

    def test_size_of_another_set(self):
        message = refusal(lambda: Settings(name="digits", dataset="digits", image_size=16))
        assert message == "--image-size is for a folder of images; those of digits have one size"

    def test_the_resolved_size_must_be_the_same_again(self, tmp_path):
        from search.engine.launch import load_data

        home = fill(tmp_path / "data", size=(50, 40))
        data = load_data(Settings(**self.STUDY, data_root=home, val_size=4, image_size=24))
        assert data.shape == (3, 24, 24)
        assert data.flip
        settings = Settings(**self.STUDY).comparable(data.fingerprint, data.shape[1], 12, 4, True)
        assert settings["image_size"] == 24


def test_training_again_uses_the_same_images(tmp_path, said):
    """A size that is not the default, and without the image that could not be read."""
    from search.use.retrain import retrain
    from spaces import cnn

    home = fill(tmp_path / "data", count=20)
    Path(find_images(home).train.paths[3]).write_bytes(b"no image")
    source = datasets.load("folder", "train", home, image_size=12, skip_bad_images=True)
    best = {"version": 1} | best_content(epochs=1)
    best["data"] |= {"name": "folder", "fingerprint": source.fingerprint, "classes": list(source.classes)}
    best["data"] |= {"channels": 3, "mean": [0.5] * 3, "std": [0.2] * 3, "image_size": [12, 12], "flip": True}
    best["data"] |= {"train_size": 20, "val_size": 8}
    model = cnn.build(best["config"], channels=3, image_size=(12, 12), classes=len(source.classes))
    best["metrics"]["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    (tmp_path / "best.yaml").write_text(yaml.safe_dump(best))
    retrain(tmp_path / "best.yaml", home, "cpu")
    assert "epoch   1 of 1" in said()


def test_a_class_of_which_no_image_is_left_to_validate_is_refused(tmp_path):
    """Both images of red that validate are damaged, and left out."""
    home = tmp_path / "data"
    for part, count, first in (("train", 6, 0), ("val", 2, 100), ("test", 2, 200)):
        fill(home / part, count=count, first=first)
    for name in ("100.png", "101.png"):
        (home / "val" / "red" / name).write_bytes(b"no image")
    said = refusal(lambda: datasets.load("folder", "train", home, skip_bad_images=True))
    assert said == (
        "class red: no image is left to validate with, since those there are copies of others, in two classes, or "
        "cannot be read; add some"
    )


def test_the_pictures_of_searches_are_no_class(tmp_path):
    home = fill(tmp_path / "data", count=10)
    for run in (home / "runs" / "digits", home / "mine", home / "red" / "try1"):
        for name in ("artifacts", "checkpoints", "losses", "weights"):
            (run / name).mkdir(parents=True)
        save(run / "artifacts" / "curves.png", Image.new("RGB", (16, 16)))
    found = find_images(home)
    assert (found.train.classes, found.empty, found.problems) == (("blue", "red"), [], [])
    assert len(found.train.names) + len(found.test.names) == 20
