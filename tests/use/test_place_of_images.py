"""best.yaml names where its images lie, so that commands work as printed."""

import shutil
from types import SimpleNamespace

import pytest

from search.errors import UserError
from search.finals.write_best import _root
from search.settings import Settings
from search.use.retrain import images_of


def best(run, name, root):
    return SimpleNamespace(weights_file=run / "best.pt", data={"name": name} | ({"root": root} if root else {}))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The current folder, with a run folder and a folder of images."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "my photos").mkdir()
    return tmp_path


@pytest.mark.parametrize("absolute", [False, True])
def test_it_is_written_as_seen_from_the_run_folder_and_found_from_anywhere(home, monkeypatch, absolute):
    place, run = (home / name if absolute else name for name in ("my photos", "runs/a"))
    written = _root(Settings(name="a", dataset="folder", data_root=place, out=run))
    assert written == {"root": "../../my photos"}
    monkeypatch.chdir(home / "runs")
    assert images_of(best(home / "runs" / "a", "folder", written["root"]), None) == home / "my photos"


def test_far_from_the_run_folder_they_have_no_place_that_could_move_along(home):
    assert _root(Settings(name="a", dataset="folder", data_root="/elsewhere/photos", out=home / "runs/a")) == {}
    assert _root(Settings(name="a", dataset="folder", data_root="/", out="/a")) == {}


def test_images_of_a_package_have_no_place(home):
    assert _root(Settings(name="a", dataset="digits")) == {}
    assert _root(Settings(name="a", dataset="MNIST")) == {"root": "../../data"}


def test_both_may_move_together(home):
    (home / "new").mkdir()
    for name in ("runs", "my photos"):
        shutil.move(home / name, home / "new" / name)
    assert images_of(best(home / "new" / "runs" / "a", "folder", "../../my photos"), None) == home / "new" / "my photos"


def test_what_is_given_comes_first(home):
    assert images_of(best(home / "runs" / "a", "folder", "../../my photos"), home / "other") == home / "other"


@pytest.mark.parametrize(
    ("root", "said"),
    [("../../gone", "the images are not in {home}/gone any more"), (None, "this best.yaml does not say where")],
)
def test_a_folder_that_is_gone(home, root, said):
    with pytest.raises(UserError, match="name their folder with --data-root") as caught:
        images_of(best(home / "runs" / "a", "folder", root), None)
    assert str(caught.value).startswith(said.format(home=home))
    assert images_of(best(home / "runs" / "a", "MNIST", root), None).name == "data"


def test_a_tilde_is_the_home_folder(home, monkeypatch):
    monkeypatch.setenv("HOME", str(home))
    settings = Settings(name="a", dataset="folder", data_root="~/my photos", out="~/runs/a", start_from="~/best.yaml")
    assert settings.folder == home / "runs" / "a"
    assert (str(settings.data_root), settings.start_from) == (f"{home}/my photos", f"{home}/best.yaml")
