"""Pictures that were saved anew are found, and those that only look alike are not."""

import io

import numpy as np
import pytest
from image_files import save
from PIL import Image

from search.data import copies, datasets
from search.data.copies import saved_anew
from search.data.decoding import square_of, with_channels
from search.data.near_copies import SIDE, near_copies
from search.data.tensors import prepare

RNG = np.random.default_rng(0)


def photo(size=48) -> Image.Image:
    """Blobs of colour, sharp and soft ones, as no other has them."""
    coarse = Image.fromarray(RNG.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((size, size), Image.BICUBIC)
    fine = Image.fromarray(RNG.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((size, size), Image.BICUBIC)
    return Image.blend(coarse, fine, 0.3)


def again(image: Image.Image, side: int, **options) -> Image.Image:
    """The image, resized and saved."""
    stream = io.BytesIO()
    image.resize((side, side), Image.LANCZOS).save(stream, **options)
    return Image.open(stream)


def squares(images) -> np.ndarray:
    return np.stack([with_channels(square_of(image, SIDE), 3) for image in images])


PHOTOS = [photo() for _ in range(60)]


@pytest.mark.parametrize(
    ("side", "options"),
    [
        (48, {"format": "JPEG", "quality": 50}),
        (30, {"format": "JPEG", "quality": 75}),
        (96, {"format": "JPEG", "quality": 40}),
        (64, {"format": "WEBP", "quality": 60}),
        (24, {"format": "PNG"}),
    ],
)
def test_another_size_quality_or_format_is_found_and_nothing_else(side, options):
    planted = [again(PHOTOS[number], side, **options) for number in (3, 20, 41)]
    assert near_copies(squares([*PHOTOS, *planted])) == [[3, 60], [20, 61], [41, 62]]


def test_three_of_a_kind_are_one_group():
    planted = [again(PHOTOS[7], side, format="JPEG", quality=80) for side in (32, 40)]
    assert near_copies(squares([*planted, *PHOTOS])) == [[0, 1, 9]]


def test_the_same_scene_again_and_again_is_no_copy():
    scene = np.asarray(PHOTOS[0]).astype(int)
    views = [scene + RNG.normal(0, 12, (6, 6, 1)).repeat(8, 0).repeat(8, 1).astype(int) for _ in range(40)]
    images = [Image.fromarray(view.clip(0, 255).astype(np.uint8)) for view in views]
    distances = [np.abs(squares(images[:1]).astype(int) - one).mean() for one in squares(images[1:])]
    assert max(distances) < 20  # they are close to each other, as copies are
    assert near_copies(squares([*images, *PHOTOS[1:]])) == []


def test_another_colour_makes_another_picture():
    array = np.asarray(PHOTOS[5]).astype(float)
    grey = array @ [0.299, 0.587, 0.114]
    recoloured = grey[..., None] + (array - grey[..., None]) @ np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]])
    image = Image.fromarray(recoloured.clip(0, 255).astype(np.uint8))
    assert near_copies(squares([*PHOTOS, image])) == []


@pytest.mark.parametrize("count", [0, 1, 2, 30])
def test_images_without_structure_are_no_copies(count):
    flat = [Image.new("RGB", (16, 16), (90, 100, 110 + number % 3)) for number in range(count)]
    found = near_copies(squares(flat) if flat else np.empty((0, 3, SIDE, SIDE), np.uint8))
    assert found == []


@pytest.mark.usefixtures("own_cache")
class TestFolder:
    @pytest.fixture
    def home(self, tmp_path):
        """Two classes; of six images in each there is another version, and one more in the other class."""
        home = tmp_path / "data"
        for name in ("a", "b"):
            for number in range(24):
                save(home / name / f"{number:02d}.png", photo())
            for number in range(6):
                original = Image.open(home / name / f"{number:02d}.png")
                save(home / name / f"small {number}.jpg", original.resize((32, 32)), quality=80)
        save(home / "b" / "other.jpg", Image.open(home / "a" / "20.png"), quality=80)
        return home

    def test_copies_are_kept_in_one_split_whatever_the_seed(self, home, said):
        pairs = [{f"{name}/{n:02d}.png", f"{name}/small {n}.jpg"} for name in "ab" for n in range(6)]
        pairs.append({"a/20.png", "b/other.jpg"})
        train, test = (datasets.load("folder", part, home) for part in ("train", "test"))
        assert "13 images are copies of others, 13 of them saved anew in another size, quality or format;" in said()
        assert "1 picture is in more than one class, saved anew: a/20.png like b/other.jpg; look which class" in said()
        assert len(np.load(train.labels)) + len(np.load(test.labels)) == 61
        for seed in range(3):
            data = prepare(train, train_size=None, val_size=None, seed=seed, flip=False)
            sides = [set(data.names(data.splits.train)), set(data.names(data.splits.val))]
            whole = {*sides[0], *sides[1]}
            for pair in pairs:
                assert sum(bool(pair & side) for side in sides) == (1 if pair & whole else 0), pair
                assert pair <= whole or not pair & whole  # or both are test images

    def test_between_folders_what_is_learned_from_or_chosen_by_loses_them(self, home, said):
        for part in ("train", "val", "test"):
            for name in ("a", "b"):
                for number in range(8):
                    save(home / "parts" / part / name / f"{number}.png", photo())
        parts = home / "parts"
        for number in range(3):
            save(parts / "val" / "a" / f"leak{number}.jpg", Image.open(parts / "train" / "a" / f"{number}.png"))
            save(parts / "test" / "a" / f"leak{number}.jpg", Image.open(parts / "val" / "b" / f"{number}.png"))
        train, test = (datasets.load("folder", part, parts) for part in ("train", "test"))
        data = prepare(train, train_size=None, val_size=None, seed=0, flip=False)
        assert len(data.splits.train) == 13
        assert sorted(set(data.names(data.splits.val)) - {f"val/a/{n}.png" for n in range(8)}) == [
            *(f"val/a/leak{n}.jpg" for n in range(3)), *(f"val/b/{n}.png" for n in range(3, 8)),
        ]  # fmt: skip
        assert len(np.load(test.labels)) == 19
        assert "left out of the images that train: 3 that are copies of images that validate or are the" in said()
        assert "left out of the images that validate: 3 that are copies of images that are the test split" in said()

    def test_they_are_looked_for_once(self, home, monkeypatch):
        paths = sorted(str(path) for path in home.rglob("*.*"))
        found = saved_anew(paths)
        assert len(found) == 13
        monkeypatch.setattr(copies, "_found", lambda paths: pytest.fail("it is known"))
        assert saved_anew(paths) == found
        monkeypatch.setattr(copies, "_found", lambda paths: [[0, 1]])
        Image.open(paths[0]).rotate(90).save(paths[0])
        assert saved_anew(paths) == [[0, 1]]

    @pytest.mark.parametrize("content", ["", "{}", "[[0, 900]]", '[["a"]]', "[1]"])
    def test_what_is_kept_may_be_damaged(self, home, content, tmp_path):
        paths = sorted(str(path) for path in home.rglob("*.*"))
        found = saved_anew(paths)
        [kept] = (tmp_path / "cache").rglob("copies.json")
        kept.write_text(content)
        assert saved_anew(paths) == found


def test_a_file_that_is_no_image_is_no_copy(tmp_path, own_cache):
    paths = [save(tmp_path / f"{number}.png", PHOTOS[number]) for number in range(10)]
    paths.insert(1, tmp_path / "none.png")
    paths.append(save(tmp_path / "again.jpg", PHOTOS[0], quality=70))
    assert saved_anew([str(path) for path in paths]) == [[0, 11]]
