"""The server that worker processes are forked from."""

import os
import signal
import subprocess
import sys

import pytest

from search.processes import ALLOCATOR, how_it_ended


@pytest.mark.parametrize(("mine", "theirs"), [({}, ALLOCATOR), ({"GLIBC_TUNABLES": ""}, {"GLIBC_TUNABLES": ""})])
def test_workers_allocate_huge_pages_unless_the_user_wants_something_else(mine, theirs):
    code = """
import multiprocessing, os
from search.processes import start_fork_server
start_fork_server()
print(os.environ.get("GLIBC_TUNABLES"), flush=True)
multiprocessing.get_context("forkserver").Process(target=os.system, args=("echo $GLIBC_TUNABLES",)).start()
"""
    environment = {name: value for name, value in os.environ.items() if name not in ALLOCATOR} | mine
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines() == [str(mine.get("GLIBC_TUNABLES")), theirs["GLIBC_TUNABLES"]], done.stderr


def test_ctrl_c_while_the_fork_server_imports_leaves_it_alone():
    """The one that pressed it decides what to do; the server goes on, and workers come from it."""
    code = """
import multiprocessing, os, signal, time
from search.processes import start_fork_server
signal.signal(signal.SIGINT, lambda number, frame: None)
start_fork_server()
time.sleep(0.3)
os.killpg(0, signal.SIGINT)
worker = multiprocessing.get_context("forkserver").Process(target=print, args=("from a worker",))
worker.start()
worker.join()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, start_new_session=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "from a worker\n", "")


STARTS = """
import sys, time
from search.processes import start_fork_server
start_fork_server()
print("started", flush=True)
time.sleep(float(sys.argv[1]))
"""


def test_a_start_removes_the_temporary_folders_of_killed_ones_and_no_other(tmp_path):
    def start(seconds):
        process = subprocess.Popen(
            [sys.executable, "-c", STARTS, seconds], stdout=subprocess.PIPE, start_new_session=True,
            env=os.environ | {"TMPDIR": str(tmp_path)},
        )  # fmt: skip
        assert process.stdout.readline() == b"started\n"
        return process

    strangers = tmp_path / "pymp-stranger"
    strangers.mkdir()
    living = start("60")
    its_own = set(tmp_path.glob("pymp-*")) - {strangers}
    killed = start("60")
    assert len(set(tmp_path.glob("pymp-*"))) == 3
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    start("0").communicate()
    assert set(tmp_path.glob("pymp-*")) == {strangers} | its_own
    living.terminate()
    living.communicate()


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [
        (3, "ended itself with exit code 3"),
        (0, "ended itself with exit code 0"),
        (-9, "was killed (SIGKILL), perhaps for want of memory"),
        (-11, "was ended by SIGSEGV, a fault in compiled code perhaps"),
        (-63, "was ended by signal 63, a fault in compiled code perhaps"),
        (None, "could not be started, or is out of reach"),
    ],
)
def test_only_what_was_killed_is_laid_to_memory(exit_code, words):
    assert how_it_ended(exit_code) == words


def test_an_argument_is_hidden_from_the_list_of_processes():
    """All of it, and nothing else; the program has it still."""
    code = (
        "import sys; from search.command.flags import read_storage; url = read_storage(sys.argv[2]); "
        "print(url, open('/proc/self/cmdline').read().split(chr(0))[-4:])"
    )
    url = "postgresql://me:top secret@host/db"
    done = subprocess.run([sys.executable, "-c", code, "list", url, "run"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{url} {['list', '*' * len(url), 'run', '']}"
