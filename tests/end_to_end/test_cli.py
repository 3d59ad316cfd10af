"""`gapsearch` and `python -m search`: a search, and what is done with one that has ended, runs, or is not there."""

import csv
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from importlib.metadata import version

import numpy as np
import optuna
import pytest
import yaml
from builders import ROOT, history
from optuna.trial import TrialState
from PIL import Image

from search import Result, Search, UserError, load
from search.command.cli import main
from search.results.schema import SCHEMA
from search.results.trial_result import ranked
from search.use.retrain import images_of, search_data

RANGES = {"depth": (2, 3), "width": (12, 16), "batch_size": (16, 24), "learning_rate": (5e-3, 1e-2)}
PYTHON = shlex.quote(sys.executable)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The run folder of a small search that ran to its end."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    Search(name="digits", dataset="digits", trials=6, epochs=10, workers=4, device="cpu", out=folder,
           train_size=200, val_size=100, ranges=RANGES).run()  # fmt: skip
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """`run` in the current folder: five trials by hand, one that runs, one that waits; trial 4 is chosen."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    study = new_study("run/study.db", "by hand")
    study.set_user_attr("baseline", {"val_loss": 1.0})
    study.set_user_attr("schema", SCHEMA)
    study.set_user_attr("settings", {"max_gap": 0.5})
    study.set_user_attr("choice", {"trial": 4, "band": [4], "because": "by hand"})
    add(study, val_loss=0.4, gap=0.3, stopped="overfit", best_epoch=4, depth=3)
    add(study, val_loss=0.2, gap=0.9, stopped="finished", best_epoch=9, depth=5)
    add(study, val_loss=0.9, gap=0.1, stopped="hopeless", best_epoch=1, depth=2, state=TrialState.PRUNED)
    add(study, stopped="out_of_memory", depth=6, state=TrialState.PRUNED)
    add(study, val_loss=0.3, gap=0.2, stopped="finished", best_epoch=7, depth=4)
    figures = history([0.8, 0.1, 0.1], [0.7, -0.8, 0.0], val_accuracy=[0.5] * 3)
    figures |= {"val_loss": [0.8, 0.1, None], "gap": [0.1, 0.9, None]}
    study.ask({"depth": optuna.distributions.IntDistribution(1, 9)}).set_user_attr("history", figures)
    study.enqueue_trial({"depth": 7})
    best = {"version": 1, "study": "by hand", "trial": 4, "space": "spaces.cnn", "config": {}, "epochs": 8, "seed": 0,
            "metrics": {}, "choice": {}, "data": {}, "environment": {}}  # fmt: skip
    (tmp_path / "run" / "best.yaml").write_text(yaml.safe_dump(best))
    return tmp_path / "run"


def new_study(path, name):
    return optuna.create_study(study_name=name, storage=f"sqlite:///{path}", directions=["minimize"] * 2)


def add(study, *, stopped, depth, state=TrialState.COMPLETE, **figures):
    study.enqueue_trial({"depth": depth})
    trial = study.ask({"depth": optuna.distributions.IntDistribution(1, 9)})
    attributes = {"stopped": stopped, "epochs_run": 10}
    if figures:
        attributes |= figures | {"val_loss_se": 0.01, "gap_se": 0.02, "val_accuracy": 0.875, "train_accuracy": 1.0,
                                 "train_loss": figures["val_loss"] - figures["gap"], "parameters": 12345,
                                 "accuracy_gap": 0.125, "fit": "good"}  # fmt: skip
        attributes["history"] = history([figures["val_loss"]] * 10, [figures["val_loss"] - figures["gap"]] * 10)
        violations = {"baseline": figures["val_loss"] - 1, "max_gap": figures["gap"] - 0.5}
    else:
        violations = {"baseline": 10.0, "max_gap": 10.0}
    for key, value in attributes.items():
        trial.set_user_attr(key, value)
    for key, value in violations.items():
        trial.set_constraint(key, value)
    if state is TrialState.COMPLETE:
        study.tell(trial, [figures["val_loss"], figures["gap"]])
    else:
        study.tell(trial, state=state)


def call(command, folder):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def test_the_feasible_ones_first_by_validation_loss(folder):
    trials = ranked(Result(folder).trials)
    assert [trial.number for trial in trials] == [4, 0, 2, 1, 5, 3, 6]
    assert [trial.number for trial in trials if trial.run and trial.run.feasible] == [4, 0, 2, 5]
    assert [trial.number for trial in trials if trial.front] == [4]
    assert [trial.number for trial in trials if trial.chosen] == [4]


def test_a_running_trial_shows_its_best_epoch_that_respects_the_ceiling(folder):
    running = Result(folder).trials[5]
    assert (running.state, running.val_loss, running.run.best_epoch, running.epochs_run) == ("RUNNING", 0.8, 0, 3)


def test_list(folder, capsys):
    assert main(["list", "run"]) == 0
    lines = [re.split(r"\s{2,}", line.strip()) for line in capsys.readouterr().out.splitlines()]
    header = "trial|val_loss|gap|accuracy|fit|stopped|best epoch|parameters|state|front|depth"
    assert lines[0] == header.split("|")
    chosen, overfit, hopeless, above, running, failed, waiting, _, counts = lines[1:]
    row = "-> 4 0.3000±0.0100 0.2000±0.0200 87.5% good finished 8-of-10 12,345 COMPLETE front 4"
    assert [cell.replace(" ± ", "±").replace(" of ", "-of-") for cell in chosen] == row.split()
    assert [overfit[number] for number in (0, 5, 8)] == ["0", "overfit", "COMPLETE"]
    assert [hopeless[number] for number in (0, 5, 8)] == ["2", "hopeless", "PRUNED"]
    assert "good (above --max-gap)" in above
    assert running == [
        "5",
        "0.8000 ± 0.0100",
        "0.1000 ± 0.0200",
        "50.0%",
        "partial overfit",
        "1 of 3",
        "RUNNING",
        running[-1],
    ]
    assert failed == ["3", "out_of_memory", "PRUNED", "6"]
    assert waiting[:2] == ["6", "WAITING"]
    assert counts[0].startswith("7 trials: 2 finished, 1 overfit")


def test_list_for_a_spreadsheet(folder, capsys):
    assert main(["list", "run", "--csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["number"] for row in rows] == ["4", "0", "2", "1", "5", "3", "6"]
    assert (rows[0]["val_loss"], rows[0]["depth"], rows[0]["chosen"]) == ("0.3", "4", "True")
    assert rows[5]["val_loss"] == ""
    assert rows[0]["best_epoch_from_1"] == "8"  # the attribute says 7
    assert "best_epoch" not in rows[0]


def test_a_best_yaml_names_its_run_folder(folder, capsys):
    for command in ("list", "report"):
        assert main([command, "run"]) == 0
        by_folder = capsys.readouterr().out
        assert main([command, "run/best.yaml"]) == 0
        assert capsys.readouterr().out == by_folder


def test_a_database_elsewhere_and_several_studies_in_it(folder, capsys):
    os.rename("run/study.db", "shared.db")
    new_study("shared.db", "another")
    assert main(["list", "run", "--storage", "sqlite:///shared.db"]) == 2
    assert capsys.readouterr().err == ("error: the database holds 2 studies: by hand, another; name one with --study\n")
    assert main(["list", "run", "--storage", "sqlite:///shared.db", "--study", "by hand"]) == 0
    assert "-> " in capsys.readouterr().out
    assert main(["list", "run", "--storage", "sqlite:///shared.db", "--study", "another"]) == 0
    assert "->" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "none"], "there is no folder none; name a run folder"),
        (["list", "none/best.yaml"], "there is no folder none; name a run folder"),
        (["report", "none"], "there is no folder none; name a run folder"),
        (["train", "empty"], "empty has no best.yaml: its search has not ended"),
        (["confirm", "empty"], "empty has no best.yaml: its search has not ended"),
        (["list", "empty"], "there is no empty/study.db; name the folder of a search"),
        (["list", "run", "--storage", "sqlite:///none.db"], "there is no none.db; name the folder of a search"),
        (["list", "run", "--storage", "sqlite://"], "there is no None"),
        (["list", "run", "--storage", "what"], "--storage is no database URL"),
        (["list", "run", "--storage", "postgresql://me:secret@127.0.0.1:1/x"], "cannot read postgresql://me:***@"),
        (["list", "run", "--study", "other"], "the database holds no study other, but by hand"),
        (["list", "text"], "cannot read sqlite:///text/study.db: file is not a database"),
        (["list", "blank"], "cannot read sqlite:///blank/study.db: no such table"),
        (["best", "none"], "cannot read none: No such file"),
        (["best", "empty"], "empty has no best.yaml: its search has not ended, or none of its trials may be chosen"),
        (["best", "run"], "run/best.yaml is no complete best.yaml: it lacks metrics.val_loss"),
        (["best"], "the following arguments are required: RUN"),
    ],
)
def test_one_line_says_what_is_wrong(folder, capsys, arguments, said):
    for name, content in (("empty", None), ("text", "not a database, and longer than its header\n" * 9), ("blank", "")):
        (folder.parent / name).mkdir()
        if content is not None:
            (folder.parent / name / "study.db").write_text(content)
    before = sorted(folder.parent.rglob("*"))
    assert main(arguments) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert len(error.splitlines()) == 1, error
    assert error.startswith(f"error: {said}")
    assert "secret" not in error
    assert sorted(folder.parent.rglob("*")) == before  # nothing was made


def test_best(finished, capsys):
    for place in (finished, finished / "best.yaml"):
        assert main(["best", str(place)]) == 0
        output = capsys.readouterr().out
        content = yaml.safe_load((finished / "best.yaml").read_text())
        metrics = content["metrics"]
        assert f"trial {content['trial']} of the study digits" in output
        assert f"val_loss    {metrics['val_loss']:.4f} ± {metrics['val_loss_se']:.4f}" in output
        assert f"gap         {metrics['gap']:.4f} ± {metrics['gap_se']:.4f}" in output
        assert content["choice"]["because"] in output
        assert all(name in output for name in content["config"])
        assert f"search.load('{finished}/best.yaml')" in output
        assert f"gapsearch train {finished}/best.yaml" in output


def test_it_predicts_what_the_search_has_measured(finished):
    best = load(finished / "best.yaml")
    data = search_data(best, images_of(best, None))
    images = np.load(data.images)[data.splits.val][:, 0]
    right = (best.predict(images).argmax(axis=1) == data.val_labels).mean()
    assert right == pytest.approx(best.metrics["val_accuracy"], abs=0.02)  # in float32, perhaps measured in bfloat16


def test_list_marks_the_chosen_trial(finished, capsys):
    assert main(["list", str(finished)]) == 0
    trial = yaml.safe_load((finished / "best.yaml").read_text())["trial"]
    assert re.search(rf"^-> +{trial} ", capsys.readouterr().out, flags=re.MULTILINE)


def test_while_another_process_holds_the_database(finished):
    holder = sqlite3.connect(finished / "study.db", isolation_level=None)
    holder.execute("PRAGMA journal_mode=WAL")  # as a search does
    holder.execute("BEGIN EXCLUSIVE")
    holder.execute("UPDATE studies SET study_name = 'changed'")
    done = call(f"{PYTHON} -m search list run", finished.parent)
    holder.close()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("COMPLETE") + done.stdout.count("PRUNED") == 6


def test_while_the_search_is_running(tmp_path):
    command = [sys.executable, str(ROOT / "studies" / "digits.py"), "--workers", "1", "--epochs", "400", "--out", "run"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not re.search(r" 0 .* of .* RUNNING", (listed := call(f"{PYTHON} -m search list run", tmp_path)).stdout):
            assert time.monotonic() < deadline, listed
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("arguments", ["list run", "list run --csv", "best run"])
def test_a_reader_that_goes_away_sees_no_traceback(finished, arguments):
    done = call(f"{PYTHON} -m search {arguments} | head -1", finished.parent)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_a_closed_pipe_shows_in_the_exit_code_alone(finished):
    done = call(f"({PYTHON} -m search list run; echo $? >&2) | true", finished.parent)
    assert done.stderr in ("0\n", "1\n")  # 0 where it was faster than `true`


@pytest.mark.parametrize("command", ["", "best", "list", "train"])
def test_help_answers_within_a_second_and_shows_an_example(command):
    began = time.monotonic()
    done = call(f"{PYTHON} -m search {command} --help", ROOT)
    assert time.monotonic() - began < 1
    assert done.returncode == 0
    assert f"usage: python -m search {command}".rstrip() in done.stdout
    if command:
        assert f"example: python -m search {command} runs/digits" in done.stdout
    else:
        assert all(name in done.stdout for name in ("run", "best", "list", "train"))


def test_best_answers_within_a_second(finished):
    began = time.monotonic()
    assert call(f"{PYTHON} -m search best run", finished.parent).returncode == 0
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("command", "example"),
    [("run", "gapsearch run digits --trials 20"), ("list", "gapsearch list runs/digits")],
)
def test_the_installed_command_shows_itself(capsys, command, example):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    output = capsys.readouterr().out
    assert ended.value.code == 0
    assert output.startswith(f"usage: gapsearch {command} ")
    assert f"example: {example}" in output


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"gapsearch {version('gapsearch')}\n"
    assert call(f"{PYTHON} -m search --version", ROOT).stdout == f"gapsearch {version('gapsearch')}\n"


def test_a_search_from_the_command_line(tmp_path):
    flags = "--trials 2 --epochs 3 --workers 2 --device cpu --train-size 200 --val-size 100"
    done = call(f"{PYTHON} -m search run Digits {flags}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("digits: run folder runs/digits\n200 images to train on, 100 to validate on")
    assert len(Result(tmp_path / "runs" / "digits").trials) == 2


def test_a_search_on_a_folder_from_the_command_line(tmp_path):
    for number in range(60):
        image = tmp_path / "leaves" / ("oak" if number % 2 else "elm") / f"{number}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number * 4).save(image)
    done = call(f"{PYTHON} -m search run leaves --trials 1 --epochs 1 --workers 1 --device cpu", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("leaves: run folder runs/leaves\n")
    assert len(Result(tmp_path / "runs" / "leaves").trials) == 1


def test_sigterm_ends_a_search_with_143_and_one_line(tmp_path):
    command = [sys.executable, "-m", "search", "run", "digits", "--epochs", "400", "--workers", "1", "--out", "run"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    deadline = time.monotonic() + 60
    while not is_training(tmp_path / "run"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (143, "interrupted\n")
    assert "report: gapsearch report run" in output
    assert re.fullmatch(
        r"interrupted: \d of 60 trials have ended, the race has not; the same command again goes on from there",
        output.splitlines()[-1],
    )


def is_training(folder):
    try:
        return any(trial.val_loss is not None for trial in Result(folder).trials)
    except UserError:  # there is no study yet
        return False


def test_train_and_confirm_show_their_progress(finished, capsys):
    assert main(["train", str(finished)]) == 0
    epochs = yaml.safe_load((finished / "best.yaml").read_text())["epochs"]
    output, errors = capsys.readouterr()
    assert errors == ""
    lines = output.splitlines()
    assert [line[:9] for line in lines] == [f"epoch {n + 1:3d}" for n in range(epochs)] + ["weights: ", "reproduce"]
    assert main(["confirm", str(finished / "best.yaml"), "--seeds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"1 training of {epochs} epochs; each is measured on 360 test images"
    assert lines[1].startswith("[1/1] trial ")
    assert [line[:20] for line in lines[2:5]] == [
        "recorded by the sear",
        "with fresh seeds:   ",
        "on the test split:  ",
    ]
