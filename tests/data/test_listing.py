"""Which files are of which class and part; what is said about a folder as a whole."""

import os
import shutil

import numpy as np
import pytest
from image_files import fill, refusal, save
from PIL import Image

from search.data import datasets, listing
from search.data.copies import find_copies
from search.data.listing import find_images
from search.data.tensors import prepare

pytestmark = pytest.mark.usefixtures("own_cache")


def prepared(home, **sizes):
    chosen = {"train_size": None, "val_size": None, "seed": 0, "flip": False, **sizes}
    return prepare(datasets.load("folder", "train", home), **chosen)


class TestOwnParts:
    @pytest.fixture
    def home(self, tmp_path):
        for part, count, first in (("train", 6, 0), ("val", 3, 300), ("test", 2, 600)):
            fill(tmp_path / "data" / part, count=count, first=first)
        return tmp_path / "data"

    def test_a_val_folder_validates_as_it_stands_whatever_the_seed(self, home):
        for seed in (0, 7):
            data = prepared(home, seed=seed)
            assert data.splits.train.tolist() == list(range(12))
            assert data.splits.val.tolist() == list(range(12, 18))
            assert data.labels.tolist() == [0] * 6 + [1] * 6 + [0] * 3 + [1] * 3
            assert len(set(data.splits.probe)) == 6
        names = find_images(home).train.names
        assert [name.split("/")[0] for name in names] == ["train"] * 12 + ["val"] * 6

    def test_it_is_said(self, home, said):
        datasets.load("folder", "train", home)
        assert "6 images validate: those in the folder val, used as it stands" in said()
        assert "test split: 4 images, those in the folder test; gapsearch confirm alone opens them" in said()

    @pytest.mark.parametrize("name", ["valid", "validation", "Val"])
    def test_its_other_names(self, home, name):
        (home / "val").rename(home / name)
        assert prepared(home).splits.val.tolist() == list(range(12, 18))

    def test_two_of_them(self, home):
        shutil.copytree(home / "val", home / "validation")
        assert refusal(lambda: find_images(home)) == f"{home} has both val and validation; keep one of them"

    def test_without_a_test_folder_a_fifth_of_those_that_train_is_set_aside(self, home):
        shutil.rmtree(home / "test")
        fill(home / "train", count=4, first=900)
        found = find_images(home)
        assert np.bincount(found.test.labels).tolist() == [2, 2]
        assert all(name.startswith("train/") for name in found.test.names)
        assert found.train.validates.sum() == 6

    @pytest.mark.parametrize(("flag", "size"), [("train_size", 8), ("val_size", 4)])
    def test_another_size_is_refused(self, home, flag, size):
        message = refusal(lambda: prepared(home, **{flag: size}))
        assert message == (
            f"--{flag.replace('_', '-')} is {size}, and the images are split already: 12 train and 6 validate; "
            f"leave --{flag.replace('_', '-')} out"
        )
        assert prepared(home, train_size=12, val_size=6).splits.val.tolist() == list(range(12, 18))

    def test_the_split_is_in_the_fingerprint(self, home):
        before = datasets.load("folder", "train", home).fingerprint
        for path in sorted((home / "train" / "red").iterdir()):  # now the first of class 0 validate, and red ones train
            path.rename(home / "val" / "red" / f"z{path.name}")
        for path in sorted((home / "val" / "red").iterdir())[:6]:
            path.rename(home / "train" / "red" / path.name)
        assert datasets.load("folder", "train", home).fingerprint != before

    def test_capital_letters(self, tmp_path):
        fill(tmp_path / "data" / "Train")
        fill(tmp_path / "data" / "Test", count=2, first=300)
        assert find_images(tmp_path / "data").train.classes == ("blue", "red")


class TestNested:
    def test_folders_inside_a_class_folder_belong_to_it(self, tmp_path, said):
        home = fill(tmp_path / "data")
        for number in range(5):
            save(home / "red" / "dark" / "old" / f"{number}.png", Image.new("RGB", (16, 16), (250, number, 0)))
        entry = datasets.load("folder", "train", home)
        assert np.bincount(np.load(entry.labels)).tolist() == [8, 12]
        line = "5 images in folders inside a class folder belong to that class: red/dark/old"
        assert line in said()

    def test_a_link_to_a_folder_above_ends(self, tmp_path):
        home = fill(tmp_path / "data")
        (home / "red" / "deep").mkdir()
        (home / "red" / "deep" / "again").symlink_to(home / "red")
        assert len(find_images(home).train.names) == 16

    @pytest.mark.parametrize("part", ["", "train"])
    def test_a_link_to_the_root_or_the_folder_of_a_part_ends(self, tmp_path, part):
        home = fill(tmp_path / "data" / part)
        if part:
            fill(tmp_path / "data" / "test", count=2, first=300)
            (home / "red" / "root").symlink_to(tmp_path / "data")
        (home / "red" / "up").symlink_to("..")
        found = find_images(tmp_path / "data")
        assert len(found.train.names) == (20 if part else 16)
        assert not found.contradictions

    def test_a_folder_too_deep_is_told(self, tmp_path):
        fill(tmp_path / "data" / "pictures")
        home = tmp_path / "data"
        assert refusal(lambda: datasets.load("folder", "train", home)) == (
            f"{home} has one class folder alone, 'pictures'; add one for each other class, "
            f"or name {home}/pictures if its folders 'blue', 'red' are the classes"
        )


class TestCopies:
    def test_only_the_same_content_is_a_copy(self, tmp_path):
        contents = (b"one", b"two", b"one", b"", b"", b"three", b"one")
        paths = [tmp_path / str(number) for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        os.mkfifo(tmp_path / "pipe")
        assert find_copies([*map(str, paths), str(tmp_path / "pipe"), str(tmp_path / "none")]) == [[0, 2, 6]]

    def test_copies_stay_in_one_split(self, tmp_path, said):
        home = fill(tmp_path / "data", count=40)
        for name in ("000", "007", "013", "021", "030", "039"):
            for copy in range(3):
                shutil.copy(home / "red" / f"{name}.png", home / "red" / f"copy {copy} of {name}.png")
        found = find_images(home)
        assert not set(found.train.contents) & set(found.test.contents)
        for seed in range(5):
            data = prepared(home, seed=seed)
            sides = [{found.train.contents[number] for number in part} for part in (data.splits.train, data.splits.val)]
            assert not sides[0] & sides[1]
            assert len(data.splits.val) == len(data.labels) // 5
            shares = [np.bincount(data.labels[part]) / len(part) for part in (data.splits.train, data.splits.val)]
            assert np.abs(shares[0] - shares[1]).max() < 0.05
        assert "18 images are copies of others; copies are kept in one split" in said()

    def test_many_copies_of_one_image_are_not_the_test_part(self, tmp_path):
        home = fill(tmp_path / "data", count=25)
        for copy in range(20):
            shutil.copy(home / "red" / "007.png", home / "red" / f"again {copy}.png")
        found = find_images(home)
        blue, red = np.bincount(found.test.labels)
        assert blue == 5
        assert 1 <= red <= 9  # a fifth of 45, at most

    def test_where_all_are_copied_as_often_the_fewest_are_the_test_part(self, tmp_path):
        home = fill(tmp_path / "data", count=2)
        for name in ("red", "blue"):
            for copy in range(3):
                shutil.copy(home / name / "000.png", home / name / f"a {copy}.png")
                shutil.copy(home / name / "001.png", home / name / f"b {copy}.png")
        found = find_images(home)
        assert np.bincount(found.test.labels).tolist() == np.bincount(found.train.labels).tolist() == [4, 4]

    def test_a_class_of_one_picture_is_refused(self, tmp_path):
        home = fill(tmp_path / "data", count=10)
        for copy in range(1, 10):
            shutil.copy(home / "red" / "000.png", home / "red" / f"{copy:03d}.png")
        assert refusal(lambda: datasets.load("folder", "train", home)) == (
            "class 'red' has one picture alone, 10 times; add others, or remove its folder"
        )

    def test_a_class_of_one_picture_to_train_and_validate_on_is_refused(self, tmp_path):
        home = tmp_path / "data"
        fill(home / "train", count=6)
        fill(home / "test", count=2, first=300)
        for copy in range(1, 6):
            shutil.copy(home / "train" / "red" / "000.png", home / "train" / "red" / f"{copy:03d}.png")
        assert refusal(lambda: datasets.load("folder", "train", home)) == (
            "class 'red' has one picture alone to train and to validate on, 6 times; add others, or remove its folder"
        )

    def test_between_folders_what_is_learned_from_loses_them(self, tmp_path, said):
        home = tmp_path / "data"
        fill(home / "train", count=6)
        fill(home / "test", count=3, first=300)
        shutil.copy(home / "train" / "red" / "001.png", home / "test" / "red")
        assert len(np.load(datasets.load("folder", "train", home).labels)) == 11
        assert len(np.load(datasets.load("folder", "test", home).labels)) == 7
        assert "left out of the images that train: 1 that are copies of images that validate or are the test" in said()

    def test_across_classes_they_are_refused_or_left_out(self, tmp_path, said):
        home = fill(tmp_path / "data")
        shutil.copy(home / "red" / "003.png", home / "blue" / "also.png")
        assert refusal(lambda: datasets.load("folder", "train", home)) == (
            "2 images are the same as one of another class, blue/also.png, red/003.png; "
            "leave each in its own class alone, or pass --skip-bad-images to leave them all out"
        )
        datasets.load("folder", "train", home, skip_bad_images=True)
        assert "skipped 2 images in more than one class" in said()
        found = find_images(home)
        assert not {"blue/also.png", "red/003.png"} & {*found.train.names, *found.test.names}

    @pytest.mark.parametrize(
        ("near", "said"),
        [
            ([[0, 1], [12, 13, 14]], None),  # of one class each
            (
                [[0, 1, 15]],
                "1 picture is in more than one class, saved anew: blue/000.png like red/005.png; look which",
            ),
            (
                [[3, 13], [4, 14]],
                "2 pictures are in more than one class, saved anew: blue/003.png like red/003.png, blue",
            ),
        ],
    )
    def test_pictures_saved_anew_in_another_class_are_told(self, tmp_path, near, said):
        home = fill(tmp_path / "data")
        told = [remark for remark in find_images(home, lambda paths: near).remarks if "more than one class" in remark]
        assert [remark.startswith(said or "?") for remark in told] == [True] * bool(said)

    def test_garbage_in_two_classes_is_no_copy(self, tmp_path):
        home = fill(tmp_path / "data")
        for name in ("red", "blue"):
            (home / name / "page.jpg").write_bytes(b"<html>not found</html>")
        message = refusal(lambda: datasets.load("folder", "train", home))
        assert message.startswith("cannot read ")


class TestWithoutLabels:
    """A part that has images in no class folder alone, as competitions hand out what is to be predicted."""

    @pytest.fixture
    def home(self, tmp_path, monkeypatch):
        monkeypatch.setattr(listing, "find_copies", lambda paths: pytest.fail("no image is to be read"))
        fill(tmp_path / "data" / "train")
        for number in range(3):
            save(tmp_path / "data" / "test" / f"{number}.png", Image.new("RGB", (8, 8)))
        return tmp_path / "data"

    def test_beside_a_train_folder(self, home):
        assert refusal(lambda: find_images(home)) == (
            f"{home}/test has 3 images and no class folders, so no labels; "
            f"name {home}/train to have a fifth of each class set aside instead"
        )

    def test_beside_a_val_folder_too(self, home):
        fill(home / "val", count=2, first=300)
        message = f"{home}/test has 3 images and no class folders, so no labels; move test out of {home}"
        assert refusal(lambda: find_images(home)) == message

    def test_to_train_on(self, home):
        (home / "train").rename(home / "val")
        (home / "test").rename(home / "train")
        assert refusal(lambda: find_images(home)) == (
            f"{home}/train has 3 images and no class folders, so no labels; move each image into a folder of its class"
        )

    def test_each_remedy_works(self, home, monkeypatch):
        monkeypatch.undo()
        assert find_images(home / "train").problems == []
        fill(home / "val", count=2, first=300)
        (home / "test").rename(home.parent / "test")
        assert find_images(home).problems == []


def test_a_folder_without_images_is_no_class(tmp_path, said):
    home = fill(tmp_path / "data")
    (home / "notes").mkdir()
    (home / "notes" / "text.txt").touch()
    assert refusal(lambda: datasets.load("folder", "train", home)) == (
        "the folder notes has no images; add some or remove it, or pass --skip-bad-images to leave it out"
    )
    assert datasets.load("folder", "train", home, skip_bad_images=True).classes == ("blue", "red")
    assert "skipped folders without images: notes" in said()


def test_all_problems_are_told_at_once(tmp_path):
    home = fill(tmp_path / "data")
    fill(home, classes=["green"], count=2, first=1000)
    for number in range(2):
        save(home / f"stray{number}.png", Image.new("RGB", (8, 8)))
    shutil.copy(home / "red" / "003.png", home / "blue" / "also.png")
    for name in find_images(home).train.names[:4]:
        (home / name).write_bytes(b"no image")
    reason = "no image that can be identified"
    assert refusal(lambda: datasets.load("folder", "train", home)) == (
        f"{home} has 4 problems: "
        f"[1] 2 images are in no class folder, stray0.png, stray1.png; move each into that of its class. "
        f"[2] class 'green' has 2 images, too few to split; add some until there are 5, or remove the class folder. "
        f"[3] cannot read 4 images in {home}, blue/000.png: {reason}, blue/001.png: {reason}, blue/002.png: {reason} "
        f"and 1 more; repair or remove them, or pass --skip-bad-images. "
        f"[4] 2 images are the same as one of another class, blue/also.png, red/003.png; "
        f"leave each in its own class alone, or pass --skip-bad-images to leave them all out"
    )
