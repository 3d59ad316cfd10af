"""Flags: what they default to, and one clear line for each bad value."""

import subprocess
import sys
import time

import pytest
from builders import ROOT

STUDIES = sorted(path.name for path in (ROOT / "studies").glob("*.py"))
FLAGS = [
    *("--trials", "--epochs", "--workers", "--device", "--out", "--storage", "--data-root", "--train-size"),
    *("--val-size", "--seed", "--timeout", "--max-gap"),
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (["train", "list.yaml"], "list.yaml is no best.yaml"),
        (["train", "broken.yaml"], "broken.yaml is not YAML"),
        (["train", "future.yaml"], "another version"),
        (["train", "half.yaml"], "half.yaml is no complete best.yaml"),
        (["confirm", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (["confirm", "nowhere.yaml", "--seeds", "0"], "--seeds is 0; it must be at least 1"),
        (["fly"], "invalid choice: 'fly'"),
    ],
)
def test_a_bad_best_yaml_exits_2_with_one_line(tmp_path, monkeypatch, capfd, arguments, said):
    from search.cli import main

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
    from search.cli import main

    (tmp_path / "best.yaml").write_text("version: !!python/object/apply:os.system ['touch pwned']\n")
    assert main(["train", str(tmp_path / "best.yaml")]) == 2
