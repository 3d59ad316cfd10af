"""The source keeps to the rules in `rooms.py`, and what breaks them is reported."""

import pytest
from builders import ROOT
from rooms import too_long, violations


def modules() -> dict[str, str]:
    """The source of search and spaces, by dotted name."""
    paths = [path for folder in ("search", "spaces") for path in (ROOT / folder).rglob("*.py")]
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths}
    return {name.removesuffix(".__init__"): path.read_text(encoding="utf-8") for path, name in names.items()}


def test_every_room_keeps_to_what_it_may_import_and_only_recording_and_the_dashboard_write():
    assert violations(modules()) == []


def test_files_and_functions_are_short():
    paths = [path for folder in ("search", "spaces", "studies") for path in sorted((ROOT / folder).rglob("*.*"))]
    texts = [path for path in paths if path.suffix in (".py", ".html", ".css", ".js")]
    long = [line for path in texts for line in too_long(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))]
    assert long == []
    assert len(texts) > 100


CLEAN = {
    "search": "import importlib",
    "search.api": "def run():\n    from search.engine.launch import run_search",
    "search.choice": "",
    "search.choice.run": "from search.measurement import Measurement\nfrom search.choice import run",
    "search.engine": "",
    "search.engine.launch": "import optuna, torch\nfrom search.recording import store",
    "search.insight": "",
    "search.insight.importance": "import optuna\nfrom search.results import best_yaml\noptuna.create_study()",
    "search.measurement": "import numpy",
    "search.recording": "",
    "search.recording.store": "from search.results.storage import create_study\n"
    "create_study('url', 'name')\nstudy.tell(0)",
    "search.results": "",
    "search.results.best_yaml": "from search.spaces import load\nfrom search.stopping.stopped import Stopped\n"
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\ndef load():\n    import torch",
    "search.results.storage": "import optuna\noptuna.create_study(storage='sqlite://')",
    "search.show": "",
    "search.show.dashboard": "from search.insight import importance\nsave_note(study, 'text')",
    "search.spaces": "import spaces",
    "search.stopping": "from search.stopping import stopped",
    "search.stopping.stopped": "from enum import StrEnum",
    "search.training": "",
    "search.training.trial": "import torch\nfrom search.choice.run import Run\nfrom search.stopping import stopped",
    "spaces": "",
    "spaces.cnn": "import torch",
}


def test_what_keeps_to_the_rules_is_not_reported():
    assert violations(CLEAN) == []


@pytest.mark.parametrize(
    ("module", "line", "said"),
    [
        ("search.measurement", "import search.choice.run", "imports search.choice.run, which this room may not"),
        ("search.choice.run", "from search.results.storage import x", "imports search.results.storage, which this"),
        ("search.choice.run", "from search.results import storage", "imports search.results.storage, which this"),
        ("search.choice.run", "from ..results import storage", "imports search.results.storage, which this room may"),
        ("search.choice", "from ..results import storage", "imports search.results.storage, which this room may not"),
        ("search.choice.run", "from search import Search", "imports search, which this room may not"),
        ("search.choice.run", "def f():\n    import search.spaces", "imports search.spaces, which this room may not"),
        ("search.choice.run", "if TYPE_CHECKING:\n    import search.spaces", "imports search.spaces, which this room"),
        ("search.results.storage", "from search.stopping import Rule", "imports search.stopping, which this room may"),
        ("search.show.dashboard", "from search.training import trial", "imports search.training.trial, which this"),
        (
            "search.training.trial",
            "import search.recording.store",
            "imports search.recording.store, which this room may not",
        ),
        ("search.recording.store", "import search.api", "imports search.api, which this room may not"),
        ("search.recording.store", "import_module('search.api')", "imports search.api, which this room may not"),
        ("search.recording.store", "import search.export", "imports search.export, which is not there"),
        ("search.insight.importance", "def f():\n    import torch.nn", "imports torch.nn, which this room does not"),
        ("search.training.trial", "def f():\n    import optuna", "imports optuna, which this room does not know"),
        ("search.results.storage", "try:\n    import torch\nexcept ImportError:\n    pass", "imports torch as soon as"),
        ("search.results.storage", "if TYPE_CHECKING:\n    pass\nelse:\n    import torch", "imports torch as soon as"),
        ("search.results.best_yaml", "from spaces.cnn import build", "as soon as it is imported, by way of spaces.cnn"),
        ("search.engine.launch", "study.tell(0)", "search.engine.launch writes to a study, by tell"),
        ("search.show.notes", "class Notes:\n    def f(self): self.study.set_user_attr('a', 1)", "by set_user_attr"),
        ("search.results.storage", "study.enqueue_trial({})", "writes to a study, by enqueue_trial"),
        ("search.insight.importance", "create_study(storage='sqlite://')", "writes to a study, by create_study"),
        ("search.show.notes", "create_study('sqlite://')", "writes to a study, by create_study"),
        ("search.newcomer", "", "is in no room; give it a line in the table"),
    ],
)
def test_what_breaks_a_rule_is_reported(module, line, said):
    planted = CLEAN | {module: f"{CLEAN.get(module, '')}\n{line}"}
    mine = [found for found in violations(planted) if found.startswith(f"{module} ")]
    assert len(mine) == 1
    assert said in mine[0]


def test_a_room_that_imports_torch_by_way_of_another_is_reported():
    planted = CLEAN | {"search.spaces": "import spaces.cnn"}
    said = " imports torch as soon as it is imported, by way of spaces.cnn"
    assert violations(planted) == [
        f"search.insight.importance{said}",
        f"search.results.best_yaml{said}",
    ]


def function(lines, above="", beside=""):
    return f"{above}\ndef long():{beside}\n" + "    pass\n" * (lines - 1)


@pytest.mark.parametrize(
    ("name", "source", "found"),
    [
        ("a.py", "pass\n" * 300, []),
        ("a.py", "pass\n" * 301, ["a.py has 301 lines"]),
        ("a.html", "<p>\n" * 301, ["a.html has 301 lines"]),
        ("a.py", function(40), []),
        ("a.py", function(41), ["a.py: long has 41 lines"]),
        ("a.py", function(41, above="@cache"), ["a.py: long has 41 lines"]),
        ("a.py", function(41, beside="  # long: one table"), []),
        ("a.py", function(41, above="# long: one table"), []),
        ("a.py", function(41, above="# long: one table\n@cache"), []),
        ("a.py", function(41, above="# a long one"), ["a.py: long has 41 lines"]),
    ],
)
def test_too_long(name, source, found):
    assert too_long(name, source) == found
