"""A space that ends the process in which its corners are checked."""

import pytest

from search.checks.corners_apart import check_apart
from search.errors import UserError

SPACE = """
import os, signal
from torch import nn

def suggest(trial):
    return {"width": trial.suggest_int("width", 1, 9)}

def build(config, *, channels, image_size, classes):
    if config["width"] == 9:
        # fault
        pass
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size[0] * image_size[1], classes))
"""


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("", None),
        ("os._exit(3)", "does not work with width=9: its process ended itself with exit code 3; mend it"),
        (
            "os.kill(os.getpid(), signal.SIGSEGV)",
            "does not work with width=9: its process was ended by SIGSEGV, a fault in compiled code perhaps; mend it",
        ),
        ("exit(3)", "does not work for 8x8x1 images with width=9: SystemExit: 3 (mine.py:10); narrow that range"),
    ],
)
def test_it_is_told_as_that(tmp_path, monkeypatch, fault, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SPACE.replace("# fault", fault))
    if said is None:
        check_apart("mine.py", {}, (1, 8, 8), 10)
        return
    with pytest.raises(UserError) as caught:
        check_apart("mine.py", {}, (1, 8, 8), 10)
    assert str(caught.value).startswith(f"the space mine.py {said}")


def test_changed_ranges_are_those_that_are_checked():
    check_apart("spaces.cnn", {"depth": (2, 2)}, (1, 8, 8), 10)
    with pytest.raises(UserError, match="with augmentation=2"):
        check_apart("spaces.cnn", {"augmentation": (0, 2)}, (1, 8, 8), 10)


def test_no_room_for_its_process_is_one_line(monkeypatch):
    def start(process):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.ForkServerProcess.start", start)
    with pytest.raises(UserError, match=r"^no process can be started: Resource temporarily unavailable; end others"):
        check_apart("spaces.cnn", {}, (1, 8, 8), 10)
