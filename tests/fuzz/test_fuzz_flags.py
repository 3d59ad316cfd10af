"""Flags of every command: any words in any order."""

import os

import pytest
from fuzzing import commanded, fuzzed, tried
from hypothesis import given
from hypothesis import strategies as st

from search import Search
from search.command.cli import main
from search.settings import Settings
from search.study import parse

FLAGS = ["--trials", "--epochs", "--workers", "--device", "--out", "--storage", "--data-root", "--train-size",
         "--val-size", "--seed", "--timeout", "--max-gap", "--space", "--image-size", "--flip", "--no-flip",
         "--skip-bad-images", "--format", "--csv", "--study", "--seeds", "--top", "--check", "--help", "--version",
         "--"]  # fmt: skip
COMMANDS = [
    "run",
    "best",
    "list",
    "report",
    "train",
    "confirm",
    "predict",
    "export",
]  # a dashboard would serve until Ctrl-C
WORDS = ["", "0", "-1", "1", "7", "1e400", "nan", "inf", "1_000", "٣", "0x10", "9" * 30, "9" * 5000, "auto", "cpu",
         "cuda", "cuda:0,cuda:0", "digits", "folder", "run", "best.yaml", "..", "/", ".", "~", "x" * 300,
         "spaces.cnn", "mine.py", "/etc/passwd", "sqlite://", "sqlite:///x.db", "sqlite:////", "postgresql://a:b@/c",
         "a\x1b[31mb", "a\nb", "é", "\udce9", "%s%n", "{0}", "$(true)", "*", "-", "--=", "=", "con"]  # fmt: skip

signs = st.characters(exclude_characters="\0", exclude_categories=[])
text = st.text(signs, max_size=12) | st.sampled_from(WORDS)
flag = st.sampled_from(FLAGS) | st.builds("{}={}".format, st.sampled_from(FLAGS), text)
pairs = st.lists(st.tuples(st.sampled_from(FLAGS), text), max_size=4)  # as a person would write them
arguments = st.lists(flag | text, max_size=6) | pairs.map(lambda pairs: [word for pair in pairs for word in pair])


@pytest.fixture(autouse=True)
def nothing_is_searched(tmp_path_factory, monkeypatch):
    """An empty folder to stand in; a search ends once its settings are known to make sense."""
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    monkeypatch.setattr(Search, "run", lambda self: self.storage_url)
    os.mkdir("run")


@fuzzed
@given(command=st.sampled_from(COMMANDS) | text, more=arguments)
def test_a_command_does_it_or_says_why_not(capsys, command, more):
    commanded([command, *more], capsys)
    commanded(["run", "digits", *more], capsys)


@fuzzed
@given(more=arguments, dataset=st.sampled_from(["digits", "FashionMNIST", "folder"]))
def test_a_script_does_it_or_says_why_not(dataset, more):
    def call():
        try:
            return parse(more, {"name": dataset, "dataset": dataset}).storage_url
        except SystemExit as ended:  # --help
            return ended.code

    assert tried(call) != 2


values = st.none() | st.booleans() | st.integers() | st.floats() | text | st.lists(st.integers(), max_size=2)
NUMBERS = ["trials", "epochs", "workers", "train_size", "val_size", "seed", "timeout", "max_gap", "image_size"]


@fuzzed
@given(
    name=text,
    fields=st.dictionaries(st.sampled_from(NUMBERS), values, max_size=4),
    out=st.none() | text,
    storage=st.none() | text,
)
def test_settings_make_sense_or_say_why_not(name, fields, out, storage):
    """Study names among them."""
    made = tried(lambda: Settings(name=name, dataset="digits", out=out, storage=storage, **fields))
    if isinstance(made, Settings):
        tried(lambda: made.storage_url)
        assert made.trials >= 1
        assert 0 <= made.seed < 2**32


def test_the_commands_are_known():
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            main([command, "--help"])
