"""What ends a search from outside, and what does not."""

import signal
import subprocess
import sys

import pytest

CODE = """
import signal, sys, time
from search.engine import interruption
interruption.STUCK_SECONDS = interruption.LOOK_SECONDS = 0.2
signal.signal(signal.SIGWINCH, lambda number, frame: None)
with interruption.Interruption(lambda: print("last words", flush=True)) as interrupted:
    signal.raise_signal(int(sys.argv[1]))
    time.sleep(1.5)  # no sign of life from the main thread
print("ended by itself")
"""


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "last words\n"),
        (signal.SIGTERM, 143, "last words\n"),
        (signal.SIGWINCH, 0, "ended by itself\n"),
    ],
)
def test_a_stuck_search_is_ended_by_what_asks_it_to_end_and_by_nothing_else(number, code, said):
    command = [sys.executable, "-c", CODE, str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (code, said), done.stderr


def test_where_all_signals_are_ignored_nothing_is_left_behind():
    code = """
import signal, threading, time
from search.engine import interruption
for number in interruption.SIGNALS:
    signal.signal(number, signal.SIG_IGN)
with interruption.Interruption(lambda: None):
    assert threading.active_count() == 2
assert signal.set_wakeup_fd(-1) == -1
time.sleep(1.0)
assert threading.active_count() == 1
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
