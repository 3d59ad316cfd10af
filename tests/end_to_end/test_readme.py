"""The README's commands work as printed, made small where they are long."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from builders import ROOT
from PIL import Image

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines() if line.strip()]
SETUP = [command for command in COMMANDS if command.startswith("python3 -m venv")]  # run by .ci/run
STUDIES = [command for command in COMMANDS if command.startswith(("python studies/", "gapsearch run"))]
OTHERS = [command for command in COMMANDS if command not in SETUP + STUDIES]
MY_SPACE = re.search(r"This is `my_space.py`:\n\n```python\n(.*?)```", README, flags=re.DOTALL)[1]
FROM_PYTHON = re.search(r"## From Python.*?```python\n(.*?)```", README, flags=re.DOTALL)[1]
PORT = 18423


def run(command, folder):
    words = shlex.split(command)
    words[0] = str(Path(sys.executable).parent / words[0])
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A folder that looks like a clone after `studies/digits.py`."""
    folder = tmp_path_factory.mktemp("clone") / "gapsearch"
    folder.mkdir()
    (folder / "studies").symlink_to(ROOT / "studies")
    if (ROOT.parent / "shared").is_dir():
        (folder.parent / "shared").symlink_to(ROOT.parent / "shared")
    (folder / "my_space.py").write_text(MY_SPACE)
    Image.new("L", (20, 16), 128).save(folder / "digit.png")
    done = run("python studies/digits.py --trials 4 --epochs 6 --seed 1", folder)
    assert done.returncode == 0, done.stderr
    shutil.copytree(folder / "runs" / "digits", folder / "runs" / "mine")  # for the command that compares
    return folder


def test_the_readme_opens_with_the_two_setup_commands():
    assert len(SETUP) == 2
    assert "studies/digits.py" in SETUP[0]
    assert "pytest" in SETUP[1]


def test_a_space_takes_at_most_25_lines():
    assert len(MY_SPACE.splitlines()) <= 25


@pytest.mark.parametrize("command", STUDIES)
def test_study_commands(clone, tmp_path, command, request):
    if "../shared/data" in command and not (ROOT.parent / "shared" / "data" / "FashionMNIST").is_dir():
        pytest.skip("no FashionMNIST beside the repository")
    if "fashion_mnist" in command:
        request.getfixturevalue("torchvision_datasets")
    done = run(f"{command} --trials 2 --epochs 1 --train-size 400 --val-size 200 --out {tmp_path / 'run'}", clone)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", OTHERS)
def test_other_commands(clone, command):
    if "dashboard" in command:
        assert dashboard_answers(command, clone)
    else:
        done = run(command, clone)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_few_lines_from_python(clone):
    code = FROM_PYTHON + "print('done:', len(result.trials), result.folder)"
    done = subprocess.run([sys.executable, "-c", code], cwd=clone, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("done: 8 runs/first\n")
    assert run("python -m search list runs/first", clone).returncode == 0


def dashboard_answers(command, folder):
    words = [*shlex.split(command), "--port", str(PORT)]
    words[0] = str(Path(sys.executable).parent / words[0])
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/studies", timeout=5) as answer:
                    return b"digits" in answer.read()
            except OSError:
                time.sleep(0.2)
        return False
    finally:
        process.kill()
        process.wait()
