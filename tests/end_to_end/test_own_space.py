"""--space, and a space of the user's own from one file to a loaded configuration."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

import search
from search.errors import UserError
from search.spaces import fingerprint, full_name, imported_beside, load_space, portable, suggester
from search.study import main, parse

ROOT = Path(__file__).parents[2]
MY_SPACE = """
from dataclasses import dataclass
from torch import nn

@dataclass
class Layer:
    filters: "int"

def suggest(trial):
    return {
        "filters": trial.suggest_int("filters", 16, 32),
        "activation": trial.suggest_categorical("activation", ["ReLU", "SiLU"]),
        "batch_size": trial.suggest_int("batch_size", 8, 12),
        "learning_rate": trial.suggest_float("learning_rate", 3e-3, 4e-3),
    }

def build(config, *, channels, image_size, classes):
    layer = Layer(config["filters"])
    return nn.Sequential(
        nn.Conv2d(channels, layer.filters, 3, padding=1), nn.BatchNorm2d(layer.filters), nn.ReLU(),
        nn.Conv2d(layer.filters, layer.filters, 3, padding=1), nn.BatchNorm2d(layer.filters),
        getattr(nn, config["activation"])(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(layer.filters * (image_size[0] // 2) * (image_size[1] // 2), classes),
    )
"""
LINEAR = """
def build(config, *, channels, image_size, classes):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size[0] * image_size[1], classes))
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file into the current folder, an empty one; returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(code, name="mine.py"):
        (tmp_path / name).write_text(code)
        return name

    return write


@pytest.mark.parametrize(
    ("flags", "space", "ranges"),
    [
        ([], "spaces.cnn", {"kernel_size": (3, 3)}),
        (["--space", "cnn"], "spaces.cnn", {"kernel_size": (3, 3)}),
        (["--space", "spaces.cnn"], "spaces.cnn", {"kernel_size": (3, 3)}),
        (["--space", "mlp"], "spaces.mlp", {}),
        (["--space", "my.own"], "my.own", {}),
        (["--space", "nets/mine.py"], "nets/mine.py", {}),
    ],
)
def test_a_study_s_ranges_are_for_its_own_space(flags, space, ranges):
    chosen = parse(flags, {"name": "n", "dataset": "digits", "ranges": {"kernel_size": (3, 3)}})
    assert (chosen.space, chosen.ranges) == (space, ranges)


def test_a_name_may_be_a_file_of_the_current_folder(write):
    assert full_name("mine") == "mine"
    write(MY_SPACE)
    assert full_name("mine") == "mine.py"


def test_a_module_of_the_current_folder(write):
    Path("nets_for_test").mkdir()
    write(MY_SPACE, "nets_for_test/own.py")
    assert load_space("nets_for_test.own").build.__module__ == "nets_for_test.own"


def test_an_edited_file_is_another_space(write):
    before, first = fingerprint(write(MY_SPACE)), load_space("mine.py")
    Path("elsewhere").mkdir()
    assert fingerprint(write(MY_SPACE, "elsewhere/mine.py")) == before
    assert load_space("mine.py") is first
    assert fingerprint(write(MY_SPACE.replace("16", "24"))) != before
    assert load_space("mine.py") is not first


def test_a_file_has_a_fingerprint_and_a_module_has_none(write):
    before = fingerprint(write(MY_SPACE))
    Path("elsewhere").mkdir()
    assert fingerprint(write(MY_SPACE, "elsewhere/yours.py")) == before
    assert fingerprint(write(MY_SPACE.replace("16", "24"))) != before
    assert fingerprint("spaces.cnn") is None


def test_no_absolute_path_is_kept(write, tmp_path):
    assert portable("spaces.cnn") == "spaces.cnn"
    assert portable(str(tmp_path / "nets" / "mine.py")) == "nets/mine.py"
    assert portable(str(tmp_path.parent / "mine.py")) == "mine.py"


def test_what_a_file_imports_from_beside_it_is_told_of(write):
    code = "import os, helpers\nfrom parts.blocks import block\nimport spaces.cnn\ndef f():\n    from late import g\n"
    for name in ("helpers.py", "late.py", "unused.py"):
        write("", name)
    Path("parts").mkdir()
    Path("spaces").mkdir()
    assert imported_beside(write(code)) == ["helpers", "parts", "late"]
    assert imported_beside(write(MY_SPACE)) == []
    assert imported_beside("spaces.cnn") == []


def test_what_is_drawn_is_what_is_stored(write):
    suggest = suggester(write("def suggest(trial): return {'sizes': (1, 2)}\n" + LINEAR), {})
    assert suggest(None) == {"sizes": [1, 2]}


def test_a_space_that_reads_a_file_beside_it_is_named(write):
    """The copy in the run folder, which workers load, has none beside it."""
    write("32", "filters.txt")
    code = "from pathlib import Path\nFILTERS = int(Path(__file__).with_name('filters.txt').read_text())\n"
    space = write(code + MY_SPACE)
    with pytest.raises(
        UserError, match=r"cannot run the space run.mine.py: FileNotFoundError: .* \(mine.py:2\); mend it"
    ):
        search.Search(name="s", dataset="digits", space=space, trials=1, epochs=1, workers=1, out="run").run()


@pytest.mark.parametrize("bounds", [(2.5, 3), (2, 3.5)])
def test_a_range_of_whole_numbers_takes_no_others(bounds):
    with pytest.raises(
        UserError, match=f"the range of depth is {bounds[0]:g} to {bounds[1]:g}; it takes whole numbers"
    ):
        suggester("spaces.cnn", {"depth": bounds})
    assert suggester("spaces.cnn", {"depth": (2.0, 3), "dropout": (0, 0.5)})


def start(arguments, folder):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    script = str(ROOT / "studies" / "digits.py")
    return subprocess.run(
        [sys.executable, script, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A folder with nets/mine.py, and run/ where a search with it has ended."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "nets").mkdir()
    (folder / "nets" / "mine.py").write_text(MY_SPACE)
    flags = ["--trials", "2", "--epochs", "4", "--workers", "2", "--seed", "1", "--out", "run"]
    ended = start(["--space", str(folder / "nets" / "mine.py"), *flags], folder)
    assert ended.returncode == 0, ended.stderr
    return folder


def test_best_yaml_of_my_space(searched):
    text = (searched / "run" / "best.yaml").read_text()
    content = yaml.safe_load(text)
    assert content["space"] == "nets/mine.py"
    assert set(content["config"]) == {"filters", "activation", "batch_size", "learning_rate"}
    assert str(searched) not in text


def test_load_finds_the_copy(searched, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    best = search.load(searched / "run" / "best.yaml")
    best.build().load_state_dict(best.trained().state_dict())
    assert best.trained()(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_load_without_the_copy(searched, tmp_path, monkeypatch):
    for name in ("best.yaml", "best.pt"):
        (tmp_path / name).write_bytes((searched / "run" / name).read_bytes())
    monkeypatch.chdir(searched)
    assert search.load(tmp_path / "best.yaml").build() is not None
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"nets/mine\.py lies neither beside it nor .* with space=$"):
        search.load("best.yaml")
    own, built = search.load(searched / "run" / "best.yaml"), []

    def build(config, **shape):
        built.append(config)
        return own.build_network(config, **shape)

    assert search.load("best.yaml", space=SimpleNamespace(build=build)).build() is not None
    assert built[-1] == own.config


def test_a_changed_space_is_not_resumed(searched):
    edited = searched / "mine.py"
    edited.write_text(MY_SPACE.replace("16", "24"))
    ended = start(["--space", "mine", "--trials", "3", "--epochs", "4", "--seed", "1", "--out", "run"], searched)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: fingerprint of the space's file was ")


SUGGEST = "def suggest(trial): return {'a': trial.suggest_int('a', 1, 9)}\n"


def drawing(expression):
    return f"def suggest(trial): {expression}\n{LINEAR}"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def suggest(trial:\n", "cannot run the space mine.py: SyntaxError: '(' was never closed (mine.py, line 1)"),
        ("import nothing", "cannot run the space mine.py: ModuleNotFoundError: No module named 'nothing' (mine.py:1)"),
        ("raise SystemExit(3)", "cannot run the space mine.py: SystemExit: 3 (mine.py:1)"),
        (SUGGEST, "the space mine.py has no function build; it needs"),
        (LINEAR, "the space mine.py has no function suggest; it needs"),
        (
            drawing("return 1 / 0"),
            "suggest of the space mine.py failed: ZeroDivisionError: division by zero (mine.py:1)",
        ),
        (
            drawing("return trial.suggest_int('x', 5, 1)"),
            "suggest of the space mine.py failed: "
            "ValueError: `low <= high` must hold, but got (low=5, high=1) (mine.py:1)",
        ),
        (drawing("exit(3)"), "suggest of the space mine.py failed: SystemExit: 3 (mine.py:1)"),
        (drawing("return {'lr': 0.1}"), "nothing reads lr (did you mean learning_rate?), which suggest of the space"),
        (drawing("return"), "suggest of the space mine.py returned nothing; it must return a dict"),
        (drawing("return {'x': {1}}"), "suggest of the space mine.py returned what cannot be stored"),
        (SUGGEST + LINEAR.replace("classes))", "5))"), "the space mine.py does not work for 8x8x1 images whatever"),
    ],
)
def test_one_line_says_what_is_wrong(code, message, write, capsys):
    refused(write(code), message, capsys)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            "none.py",
            "cannot read the space none.py: No such file or directory; take cnn, mlp, pretrained, reference, resnet, ",
        ),
        (
            "resnt",
            "there is no space resnt; take cnn, mlp, pretrained, reference, resnet, a module's dotted name, or",
        ),
        ("spaces.resnt", "there is no space spaces.resnt; take cnn"),
    ],
)
def test_unknown_spaces(space, message, write, capsys):
    refused(space, message, capsys)


def refused(space, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--space", space, "--device", "cpu", "--out", "run"], name="digits", dataset="digits")
    assert ended.value.code == 2
    errors = capsys.readouterr().err.splitlines()
    assert [line for line in errors if line.startswith(f"error: {message}")] == errors
    assert len(errors) == 1
    assert not Path("run").exists()
