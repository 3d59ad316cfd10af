"""The commands that the pages of studies/ show: the script exists, answers to --help, and knows the flags."""

import re
import shlex
import subprocess
import sys
from functools import cache

import pytest
from builders import ROOT

STUDIES = ROOT / "studies"
PAGES = sorted(STUDIES.rglob("README.md"))
FOLDERS = {
    "calibration",
    "cluster",
    "throughput",
    "pruning",
    "choice",
    "overhead",
    "faults",
    "race",
    "search",
    "tables",
}


def commands_of(page):
    """`python studies/... FLAGS` as lists of words; $NAME stands for what NAME="..." says in the same block."""
    found = []
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), flags=re.DOTALL):
        names = {}
        for line in block.replace("\\\n", " ").splitlines():
            if given := re.fullmatch(r'(\w+)="(.*)"', line):
                names[given[1]] = given[2]
                continue
            for name, text in names.items():
                line = line.replace(f"${name}", text)
            if line.startswith("python studies/"):
                found.append(shlex.split(line, comments=True)[1:])
    return found


COMMANDS = sorted({tuple(command) for page in PAGES for command in commands_of(page)})


@cache
def help_of(script):
    done = subprocess.run([sys.executable, script, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_benchmark_has_a_page_that_shows_a_command():
    shown = {page.parent.name for page in PAGES if page.parent.parent.name == "benchmarks" and commands_of(page)}
    assert shown == FOLDERS


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_that_is_shown(command):
    script, *words = command
    assert (ROOT / script).is_file()
    said = help_of(script)
    for word in words:
        if word.startswith("--"):
            assert word in said
        elif word.startswith("studies/"):
            assert list(ROOT.glob(word)), word


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.parent.relative_to(ROOT)))
def test_links_between_the_pages_lead_somewhere(page):
    for path, heading in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)", page.read_text()):
        linked = page.parent / path if path else page
        assert linked.exists(), path
        if heading:
            titles = re.findall(r"^#+ (.*)$", linked.read_text(), flags=re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
