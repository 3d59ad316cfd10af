"""Whether the networks of a space can overfit, and what is said of those that cannot."""

import pytest

from search.checks.corners import corners
from search.checks.memory_check import Extreme, check_memory, extremes, verdict
from search.command.cli import main
from search.spaces import load_space, suggester
from search.training.memorize import Memorized

ALL, FEW, NONE = Memorized(9, 1.0, 0.1), Memorized(300, 0.55, 1.2), Memorized(300, 0.1, 2.3)
SPACE = """
from torch import nn

def suggest(trial):
    return {"units": trial.suggest_int("units", 1, 64), "faulty": trial.suggest_categorical("faulty", FAULTY)}

def build(config, *, channels, image_size, classes):
    pixels = channels * image_size[0] * image_size[1]
    see = nn.Threshold(1e9, 0.0) if config["faulty"] else nn.Identity()
    return nn.Sequential(nn.Flatten(), see, nn.Linear(pixels, config["units"]), nn.ReLU(),
                         nn.Linear(config["units"], classes))
"""


@pytest.fixture
def space(tmp_path):
    """Call it with the choices of `faulty`; one unit is too few to tell ten classes apart."""

    def write(*faulty):
        path = tmp_path / "mine.py"
        path.write_text(SPACE.replace("FAULTY", repr(list(faulty))))
        return str(path)

    return write


def test_the_largest_and_the_smallest_by_parameters(space):
    name = space(False)
    points = list(corners(suggester(name, {})))
    largest, smallest = extremes(points, load_space(name), (1, 8, 8), 10)
    assert (largest.name, largest.point.params["units"], largest.parameters) == ("largest", 64, 64 * 65 + 65 * 10)
    assert (smallest.name, smallest.point.params["units"], smallest.parameters) == ("smallest", 1, 65 + 20)
    (only,) = extremes(points[:1], load_space(name), (1, 8, 8), 10)
    assert only.name == "every one"


def test_a_network_that_is_too_small_is_named(space, digits, said):
    name = space(False)
    assert not check_memory(name, suggester(name, {}), digits, seed=0)
    lines = said().splitlines()
    assert sum("100.0%" in line for line in lines) == 2  # the largest one, with true and with random labels
    assert "the smallest network (85 parameters: units=1, faulty=False) cannot memorize 20 images" in lines[-1]


def test_the_default_space_can(digits, said):
    from builders import RANGES

    assert check_memory("spaces.cnn", suggester("spaces.cnn", RANGES), digits, seed=0)
    assert "all of them are memorized" in said()


@pytest.mark.parametrize(
    ("true", "random", "words"),
    [
        (ALL, ALL, None),
        (ALL, FEW, "memorizes true labels, not random ones (55% after 300 steps): it has little capacity; narrow"),
        (NONE, FEW, "cannot memorize 20 images (10% after 300 steps, train_loss 2.3000, 55% with random labels): it"),
    ],
)
def test_what_is_said(space, true, random, words):
    point = next(corners(suggester(space(False), {})))
    found = verdict(Extreme("smallest", point, 85), true, random)
    assert len(found) == (words is not None)
    assert (
        words is None
        or f"the smallest network (85 parameters: units={point.params['units']}, faulty=False) {words}" in found[0]
    )


def test_the_command_exits_1_where_a_network_cannot(space, capsys):
    assert main(["check", "digits", "--space", space(True)]) == 1
    output, errors = capsys.readouterr()
    assert "memorizing 20 images without regularization, in at most 300 steps:" in output
    assert "build has a fault (a softmax before the loss" in output + errors


def test_the_command_refuses_what_a_search_does(tmp_path, capsys):
    assert main(["check", "letters"]) == 2
    assert "'letters' is neither a folder nor a data set" in capsys.readouterr().err
