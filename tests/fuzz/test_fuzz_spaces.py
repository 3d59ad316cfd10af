"""The file of a space with its source changed, and what a space may return."""

import pytest
from fuzzing import fuzzed, tried
from hypothesis import given
from hypothesis import strategies as st

from search.checks.corners import check_corners
from search.errors import UserError
from search.spaces import Suggest, full_name, keep, load_space, suggester

SOURCE = """
from torch import nn

def suggest(trial):
    return {"units": trial.suggest_int("units", 4, 8), "batch_size": 32, "learning_rate": 1e-3}

def build(config, *, channels, image_size, classes):
    inputs = channels * image_size[0] * image_size[1]
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, config["units"]), nn.Linear(config["units"], classes))
"""
PIECES = ["", " ", "\n", "\t", "(", ")", ":", "x", "0", "-1", "None", "raise SystemExit(3)\n", "raise ValueError\n",
          "\x00", "\ufeff", "é", "\udce9", "# coding: nonsense\n", "return\n", "yield\n", "trial", "{}", "1/0\n",
          "import nothing\n", "del nn\n", "class", "lambda: 0", "1e999", "'''", "\\", "import sys; sys.exit('bye')\n",
          "float('nan')", "object()", "10**5", "b'x'", "exit()\n", "raise KeyboardInterrupt\n"[:0]]  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@st.composite
def sources(draw):
    """The source of a space with pieces taken out and put in, at the beginnings of words most of the time."""
    text = SOURCE
    for _ in range(draw(st.integers(1, 3))):
        starts = [at for at in range(1, len(text)) if not text[at - 1].isalnum()] or [0]
        at = draw(st.sampled_from(starts) | st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(PIECES)) + text[at + draw(st.integers(0, 12)) :]
    return text.encode("utf-8", "surrogatepass")


@fuzzed
@given(source=sources())
def test_a_source_makes_a_space_or_says_why_not(home, source):
    (home / "mine.py").write_bytes(source)
    tried(lambda: keep("mine.py", home))
    suggest = tried(lambda: suggester("mine.py", {}))
    if not isinstance(suggest, UserError):
        tried(lambda: check_corners("mine.py", suggest, (1, 8, 8), 10))


names = st.text(st.characters(exclude_categories=[]), max_size=20) | st.sampled_from(
    [
        "",
        ".",
        "..",
        "..x",
        "os",
        "sys",
        "search",
        "spaces",
        "spaces.cnn.",
        ".py",
        "/.py",
        "x" * 300,
        "a.b.c",
        "antigravity.x",
    ]
)


@fuzzed
@given(name=names, ranges=st.dictionaries(st.text(max_size=5), st.tuples(st.floats(), st.floats()), max_size=2))
def test_a_name_is_that_of_a_space_or_of_none(home, name, ranges):
    tried(lambda: load_space(full_name(name)))
    suggest: Suggest | UserError = tried(lambda: suggester("spaces.cnn", ranges))  # type: ignore[assignment]
    assert isinstance(suggest, UserError) == bool(ranges)
