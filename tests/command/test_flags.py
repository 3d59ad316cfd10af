"""Flags: what they default to, and one clear line for each bad value."""

import runpy
import subprocess
import sys
import time
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from builders import ROOT

from search import Search
from search.command.cli import main as gapsearch
from search.command.presets import PRESETS, preset
from search.errors import UserError
from search.settings import FOLDER
from search.study import parse

STUDIES = sorted(path.name for path in (ROOT / "studies").glob("*.py") if path.name != "reference.py")  # no search
FLAGS = [
    *("--trials", "--epochs", "--workers", "--device", "--out", "--storage", "--data-root", "--train-size"),
    *("--val-size", "--seed", "--timeout", "--max-gap", "--no-start", "--start-from", "--range", "--artifacts"),
]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--trials", "0"], "--trials is 0; it must be at least 1"),
        (["--trials", "many"], "argument --trials: invalid int value: 'many'"),
        (["--epochs", "-3"], "--epochs is -3; it must be at least 1"),
        (["--workers", "0"], "--workers is 0; it must be at least 1"),
        (["--workers", "all"], "--workers is all; write a number, or auto"),
        (["--device", "gpu"], "--device gpu is not there"),
        (["--device", "cuda:99"], "--device cuda:99 is not there"),
        (["--device", "cpu,cpu"], "--device cpu,cpu is not there"),
        (["--out", "file"], "--out file is a file"),
        (["--out", "file/below"], "cannot write to --out file/below"),
        (["--storage", "not a url"], "--storage is no database URL"),
        (
            ["--storage", "postgresql://me:secret@127.0.0.1:1/x"],
            "cannot open the storage postgresql://me:***@127.0.0.1",
        ),
        (["--artifacts", "s3://me:secret@bucket"], "--artifacts is no s3://BUCKET or s3://BUCKET/PREFIX"),
        (["--storage", "sqlite:///missing/folder/x.db"], "unable to open database file"),
        (["--train-size", "12"], "--train-size is 12; with 10 classes it must be at least 20"),
        (["--train-size", "99999"], "there are 1437 to train and validate on"),
        (["--val-size", "0"], "--val-size is 0; it must be at least 1"),
        (["--val-size", "1437"], "there are 1437 to train and validate on"),
        (["--seed", "-1"], "--seed is -1; it must be at least 0"),
        (["--timeout", "0"], "--timeout is 0; it must be a number above 0"),
        (["--timeout", "nan"], "--timeout is nan; it must be a number above 0"),
        (["--max-gap", "-0.1"], "--max-gap is -0.1; it must be a number above 0"),
        (["--max-gap", "inf"], "--max-gap is inf; it must be a number above 0"),
        (["--flip=yes"], "argument --flip/--no-flip"),
        (["--unknown"], "unrecognized arguments: --unknown"),
    ],
)
def test_a_bad_value_exits_2_with_one_line(tmp_path, monkeypatch, capfd, flags, said):
    from search.study import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as ended:
        main(flags, name="digits", dataset="digits")
    error = capfd.readouterr().err
    assert ended.value.code == 2
    assert len(error.splitlines()) == 1, error
    assert said in error
    assert "secret" not in error


@pytest.mark.usefixtures("torchvision_datasets")
def test_bad_data_root_exits_2_with_one_line(tmp_path, capfd):
    from search.study import main

    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as ended:
        main(["--data-root", str(tmp_path / "file"), "--out", str(tmp_path / "run")], name="m", dataset="MNIST")
    error = capfd.readouterr().err
    assert ended.value.code == 2
    assert len(error.splitlines()) == 1, error
    assert "--data-root" in error


@pytest.mark.parametrize("script", STUDIES)
def test_help_answers_within_a_second_and_names_every_flag(script):
    began = time.monotonic()
    done = subprocess.run([sys.executable, ROOT / "studies" / script, "--help"], capture_output=True, text=True)
    assert time.monotonic() - began < 1
    assert done.returncode == 0
    assert all(flag in done.stdout for flag in FLAGS)


@pytest.fixture
def started(monkeypatch):
    """The searches that would run."""
    searches = []
    monkeypatch.setattr(Search, "run", lambda self: searches.append(self))
    return searches


@pytest.mark.parametrize("script", [name for name in STUDIES if name != "folder.py"])
def test_a_script_and_the_command_start_the_same_search(script, started, monkeypatch):
    monkeypatch.setattr(sys, "argv", [script, "--trials", "7"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "studies" / script), run_name="__main__")
    assert ended.value.code == 0
    assert gapsearch(["run", Path(script).stem, "--trials", "7"]) == 0
    assert started[0] == started[1]
    assert started[0].trials == 7
    assert started[0].folder == Path("runs") / Path(script).stem


def test_every_data_set_has_its_settings():
    from search.data.datasets import SOURCES

    assert {study["dataset"] for study in PRESETS.values()} == set(SOURCES)
    assert {f"{name}.py" for name in PRESETS} == set(STUDIES)
    assert all(study["name"] == name for name, study in PRESETS.items())


@pytest.mark.parametrize(
    "name", ["FashionMNIST", "fashionmnist", "fashion_mnist", "fashion-mnist", "Fashion-MNIST", "FASHION_MNIST"]
)
def test_the_name_of_a_data_set_may_be_written_in_many_ways(name):
    assert preset(name) == PRESETS["fashion_mnist"]


@pytest.mark.parametrize(
    ("typed", "dataset", "name"),
    [
        ("my images", FOLDER, "my images"),
        ("my images/", FOLDER, "my images"),
        ("my images/../link", FOLDER, "link"),
        ("./digits", FOLDER, "digits"),
        ("digits", "digits", "digits"),
    ],
)
def test_a_folder_gives_the_study_its_name(tmp_path, monkeypatch, started, typed, dataset, name):
    monkeypatch.chdir(tmp_path)
    Path("my images").mkdir()
    Path("digits").mkdir()
    Path("link").symlink_to("my images")
    assert gapsearch(["run", typed]) == 0
    assert (started[0].dataset, started[0].name, started[0].folder) == (dataset, name, Path("runs") / name)


def test_the_folder_one_stands_in_and_the_flags_for_folders(tmp_path, monkeypatch, started):
    monkeypatch.chdir(tmp_path)
    assert gapsearch(["run", ".", "--image-size", "32", "--skip-bad-images"]) == 0
    settings = {"name": tmp_path.name, "dataset": FOLDER, "trials": 60, "epochs": 30}
    assert started == [Search(**settings, data_root=Path("."), image_size=32, skip_bad_images=True)]


def test_the_script_for_folders_names_its_study_after_the_folder(tmp_path):
    study = PRESETS[FOLDER]
    assert parse(["--data-root", str(tmp_path / "my photos")], study).name == "my photos"
    assert parse([], study).name == FOLDER
    assert parse(["--data-root", str(tmp_path)], PRESETS["digits"]).name == "digits"
    assert parse(["--data-root", str(tmp_path)], study | {"name": "mine"}).name == "mine"


SETS = "digits, FashionMNIST, MNIST, KMNIST, CIFAR10, CIFAR100, SVHN"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["letters"], f"'letters' is neither a folder nor a data set; the data sets are {SETS}\n"),
        (["--trials", "2", "letters"], "'letters' is neither a folder nor a data set"),
        (["letters", "--help"], "'letters' is neither a folder nor a data set"),
        (["file"], "'file' is neither a folder nor a data set"),
        ([""], "'' is neither a folder nor a data set"),
        (["folder"], "'folder' is neither a folder nor a data set"),
        ([], "the following arguments are required: DATASET|FOLDER"),
        (["digits", "mnist"], "unrecognized arguments: mnist"),
        (["digits", "--trials", "0"], "--trials is 0; it must be at least 1"),
        (["digits", "--skip-bad-images"], "unrecognized arguments: --skip-bad-images"),
        (["--skip-bad-images", "digits"], "--skip-bad-images is for a folder of images; those of digits are all good"),
        (["--image-size", "9", "digits"], "--image-size is for a folder of images; those of digits have one size"),
        (["empty", "--data-root", "x"], "the images are those in empty; leave --data-root out"),
        (["empty"], "there are no images in empty"),
    ],
)
def test_what_cannot_be_searched_on_exits_2_with_one_line(tmp_path, monkeypatch, capfd, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    assert gapsearch(["run", *arguments]) == 2
    error = capfd.readouterr().err
    assert len(error.splitlines()) == 1, error
    assert error.startswith(f"error: {said}")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ([], ["at most (default: 30)", "(default: runs/NAME)", "--image-size", SETS.split(", ")[0], "images:\n"]),
        (["digits"], ["at most (default: 20)", "(default: runs/digits)", "machine:\n"]),
        (["fashion-mnist"], ["at most (default: 30)", "(default: runs/fashion_mnist)"]),
        (["50%"], ["(default: runs/50%)", "--image-size", "(default: 50%)"]),
    ],
)
def test_help_shows_the_defaults_of_the_data_set_named(tmp_path, monkeypatch, capsys, arguments, shown):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "50%").mkdir()
    with pytest.raises(SystemExit) as ended:
        gapsearch(["run", *arguments, "--help"])
    output = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(text in output for text in [*shown, *FLAGS])
    assert ("--image-size" in output) == ("--image-size" in shown)


def test_flags_that_are_not_given_leave_the_study_s_own_settings():
    study = {"name": "n", "dataset": "digits", "workers": 3, "val_size": 50, "ranges": {"depth": (2, 3)}}
    assert parse([], study) == Search(**study)
    assert parse(["--workers", "auto", "--no-flip"], study) == Search(**study | {"workers": None, "flip": False})


def test_ranges_are_set_one_by_one_beside_the_study_s_own():
    study = {"name": "n", "dataset": "digits", "ranges": {"depth": (2, 3), "width": (8, 16)}}
    chosen = parse(["--range", "depth=2:4", "--range", "learning_rate=1e-3:0.01"], study)
    assert chosen.ranges == {"depth": (2, 4), "width": (8, 16), "learning_rate": (1e-3, 0.01)}
    assert isinstance(chosen.ranges["depth"][0], int)
    other = parse(["--space", "mlp", "--range", "depth=1:2"], study)
    assert other.ranges == {"depth": (1, 2)}  # the study's are meant for its own space


def test_a_study_may_have_a_name_of_its_own(tmp_path):
    assert parse(["--name", "mine"], {"name": "n", "dataset": "digits"}).folder == Path("runs/mine")
    folder = {"name": "folder", "dataset": "folder"}
    assert parse(["--data-root", str(tmp_path / "photos")], folder).name == "photos"
    assert parse(["--data-root", str(tmp_path / "photos"), "--name", "mine"], folder).name == "mine"


@pytest.mark.parametrize("text", ["depth", "depth=2", "depth=2:4:6", "depth=a:b", "=:"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(UserError, match=f"--range is {text}; write NAME=LOW:HIGH, as in depth=2:4"):
        parse(["--range", text], {"name": "n", "dataset": "digits"})


def test_the_installed_command_is_the_one_tested_here():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert {name: EntryPoint(name, target, "").load() for name, target in scripts.items()} == {"gapsearch": gapsearch}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (["train", "list.yaml"], "list.yaml is no best.yaml"),
        (["train", "broken.yaml"], "broken.yaml is not YAML"),
        (["train", "future.yaml"], "this gapsearch reads 1"),
        (["train", "half.yaml"], "half.yaml is no complete best.yaml"),
        (["confirm", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (["confirm", "nowhere.yaml", "--seeds", "0"], "--seeds is 0; it must be at least 1"),
        (["confirm", "nowhere.yaml", "--top", "0"], "--top is 0; it must be at least 1"),
        (["fly"], "invalid choice: 'fly'"),
    ],
)
def test_a_bad_best_yaml_exits_2_with_one_line(tmp_path, monkeypatch, capfd, arguments, said):
    from search.command.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.yaml").write_text("[1, 2]")
    (tmp_path / "broken.yaml").write_text("a: [1,\n b: }")
    (tmp_path / "future.yaml").write_text("version: 99\n")
    (tmp_path / "half.yaml").write_text("version: 1\nspace: spaces.cnn\n")
    assert main(arguments) == 2
    error = capfd.readouterr().err
    assert len(error.splitlines()) == 1, error
    assert said in error


def test_yaml_cannot_run_code(tmp_path):
    from search.command.cli import main

    (tmp_path / "best.yaml").write_text("version: !!python/object/apply:os.system ['touch pwned']\n")
    assert main(["train", str(tmp_path / "best.yaml")]) == 2
