"""A search from a program or a notebook: a few lines, wherever they stand."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from builders import ROOT

import search
from search import Result, Search, UserError
from search.processes import hidden_main

RANGES = {"depth": (2, 3), "width": (12, 16), "batch_size": (16, 24), "learning_rate": (5e-3, 1e-2)}
SMALL = {
    "name": "digits", "dataset": "digits", "trials": 2, "epochs": 12, "workers": 2, "device": "cpu",
    "train_size": 200, "val_size": 100, "ranges": RANGES,
}  # fmt: skip
SCRIPT = f"""
open("ran.txt", "a").write("once more\\n")
from search import Search

result = Search(**{SMALL}, out="runs/mine").run()
print("result:", len(result.trials), result.best.trial, result.folder)
"""
WAYS = {
    "a script without a guard": ["script.py"],
    "python -m": ["-m", "script"],
    "python -c": ["-c", SCRIPT.replace("'epochs': 12", "'epochs': 14")],
    "standard input": ["-"],
}


def start(arguments, folder, stdin=None, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        **options,
    )  # fmt: skip


@pytest.mark.parametrize("arguments", WAYS.values(), ids=WAYS.keys())
def test_workers_leave_the_script_alone(tmp_path, arguments):
    code = SCRIPT.replace("'epochs': 12", "'epochs': 14")
    (tmp_path / "script.py").write_text(code)
    process = start(arguments, tmp_path, stdin=subprocess.PIPE)
    output, errors = process.communicate(code, timeout=100)
    assert process.returncode == 0, errors
    assert (tmp_path / "ran.txt").read_text() == "once more\n"
    assert re.search(r"^result: 2 [01] runs/mine$", output, flags=re.MULTILINE), output
    assert output.startswith("digits: run folder runs/mine\n200 images to train on, 100 to validate on")
    assert "\x1b" not in output  # plain lines where no terminal is
    assert errors == ""


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Of a small search that ran to its end, its folder given as a string."""
    folder = str(tmp_path_factory.mktemp("api") / "run")
    return Search(**SMALL | {"trials": 8, "epochs": 10, "workers": 4}, space="cnn", out=folder, data_root="data").run()


def test_the_best_is_loaded(result):
    assert result.folder.name == "run"
    assert result.best.trained()(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert [trial.number for trial in result.trials if trial.chosen] == [result.best.trial]


def test_trials_are_as_the_study_has_them(result):
    import optuna

    stored = optuna.load_study(study_name="digits", storage=f"sqlite:///{result.folder / 'study.db'}").trials
    assert len(result.trials) == len(stored) == 8
    for trial, was in zip(result.trials, stored, strict=True):
        assert (trial.number, trial.state, trial.params) == (was.number, was.state.name, was.params)
        assert trial.run.feasible == all(violation <= 0 for violation in was.constraints.values())
        assert trial.history.keys() == was.user_attrs["history"].keys()
        for name, value in trial.figures().items():
            if name in was.user_attrs:
                assert value == was.user_attrs[name]


def test_the_front_is_feasible_and_complete(result):
    front = [trial for trial in result.trials if trial.front]
    assert front
    assert all(trial.run.feasible and trial.complete for trial in front)
    lowest = min((trial for trial in result.trials if trial.run.feasible), key=lambda trial: trial.val_loss)
    assert lowest.front


def test_searches_follow_one_another(result, tmp_path):
    again = Search(**SMALL | {"trials": 8, "epochs": 10}, out=result.folder).run()
    assert again.trials == result.trials
    other = Search(**SMALL, out=tmp_path / "other").run()
    assert len(other.trials) == 2


def test_where_nothing_may_be_chosen_there_is_no_best(tmp_path):
    slow = {"epochs": 1, "ranges": {"learning_rate": (1e-6, 1e-6)}}
    result = Search(**SMALL | slow, out=str(tmp_path / "run")).run()
    assert result.best is None
    assert [trial.run.feasible for trial in result.trials] == [False, False]
    assert not any(trial.front or trial.chosen for trial in result.trials)


def test_threads_may_search_side_by_side(tmp_path):
    main, results = sys.modules["__main__"], {}

    def run(name):
        results[name] = Search(**SMALL, out=tmp_path / name).run()

    threads = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: len(result.trials) for name, result in results.items()} == {"a": 2, "b": 2}
    assert sys.modules["__main__"] is main


def test_main_is_hidden_for_a_moment_and_from_multiprocessing_alone():
    import multiprocessing.spawn

    main = sys.modules["__main__"]
    with hidden_main():
        assert not any(key.startswith("init_main") for key in multiprocessing.spawn.get_preparation_data("worker"))
        hidden = vars(sys.modules["__main__"]).items()
        assert {n: v for n, v in vars(main).items() if n not in ("__file__", "__spec__")}.items() <= hidden
    assert sys.modules["__main__"] is main


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_raises_and_keeps_everything(tmp_path, number):
    code = f"""
from search import Result, Search
try:
    Search(**{SMALL | {"epochs": 400}}, out="run").run()
except KeyboardInterrupt as error:
    print("caught:", type(error).__name__, int(error.signal), [trial.state for trial in Result("run").trials])
"""
    process = start(["-c", code], tmp_path, start_new_session=True)
    deadline = time.monotonic() + 60
    while not running(tmp_path / "run"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert f"caught: SearchInterrupted {number:d} ['FAIL', 'FAIL', 'WAITING', 'WAITING']" in output


def running(folder):
    try:
        return any(trial.val_loss is not None for trial in Result(folder).trials)
    except UserError:  # there is no study yet
        return False


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trials": 0}, "--trials is 0; it must be at least 1"),
        ({"trials": None}, "--trials is None; it must be a whole number"),
        ({"epochs": "8"}, "--epochs is '8'; it must be a whole number"),
        ({"train_size": 0.5}, "--train-size is 0.5; it must be a whole number"),
        ({"timeout": "60"}, "--timeout is '60'; it must be a number above 0"),
        ({"dataset": "letters"}, "there is no data set 'letters'; choose one of"),
        ({"space": "resnt"}, "there is no space resnt; take cnn"),
        ({"space": Path("none.py")}, "cannot read the space none.py"),
        ({"device": "gpu"}, "--device gpu is not there"),
        (
            {"ranges": {"deepness": (1, 2)}},
            "the space spaces.cnn has no range of deepness that can be set; it has",
        ),
        ({"ranges": {"depth": (5, 2)}}, "the range of depth is 5 to 2; its lowest value comes first, 2"),
        ({"ranges": {"depth": 3}}, "the range of depth is 3; give its lowest and its highest value"),
        ({"ranges": {"width": (8, float("inf"))}}, "the range of width is (8, inf); its ends must be numbers"),
    ],
)
def test_bad_settings_raise_a_user_error(tmp_path, changes, said):
    with pytest.raises(UserError, match=re.escape(said)):
        Search(**SMALL | changes, out=str(tmp_path / "run")).run()
    assert not (tmp_path / "run").exists()


def test_what_takes_seconds_is_imported_late():
    code = (
        "import sys\n{}\nassert 'torch' not in sys.modules, 'torch'\n{}"
        "from search.stopping import OverfitRule\nOverfitRule().update(1.0, 2.0)"
    )
    optuna = "assert 'optuna' not in sys.modules, 'optuna'\n"
    rich = "assert 'rich' not in sys.modules, 'rich'\n"
    for line, check in (
        ("from search.stopping import OverfitRule", optuna),
        ("import search.command.cli, search.study", optuna),
        ("import search.results.best_yaml", optuna),
        ("import search.results.run_folder", ""),
        ("import logging, search.log\nsearch.log.show_log()\nlogging.getLogger('search').info('hello')", optuna + rich),
        ("from search.command.cli import main\nassert main(['run', 'letters']) == 2", optuna + rich),
    ):
        process = start(["-c", code.format(line, check)], ROOT)
        assert process.wait(30) == 0, (line, process.stderr.read())


def test_the_package_names_what_it_offers():
    assert all(getattr(search, name) is not None for name in search.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        search.nothing  # noqa: B018
