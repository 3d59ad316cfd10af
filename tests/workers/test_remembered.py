"""What was measured on this machine."""

import subprocess
import sys

import pytest

from search.data.cache import cache_folder
from search.workers.remembered import forget, remembered


def test_what_was_measured_on_this_machine_is_not_measured_again():
    values = iter([{"bf16": True}, {"bf16": False}])
    first, again = (remembered("test", ("torch", (1, 8, 8)), lambda: next(values)) for _ in range(2))
    assert first == again == {"bf16": True}
    assert remembered("test", ("torch", (3, 8, 8)), lambda: next(values)) == {"bf16": False}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"null", b"{}", b"\xff\xfe"])
@pytest.mark.usefixtures("own_cache")
def test_where_the_file_is_damaged_it_is_measured_again(content):
    remembered("test", "key", lambda: {"bf16": True})
    (file,) = cache_folder().glob("test-*.json")
    file.write_bytes(content)
    assert remembered("test", "key", lambda: {"bf16": False}) == {"bf16": False}
    assert remembered("test", "key", dict) == {"bf16": False}


@pytest.mark.usefixtures("own_cache")
def test_what_could_not_be_measured_is_not_remembered():
    assert remembered("test", "key", dict) == {}
    assert list(cache_folder().glob("*.json")) == []
    assert remembered("test", "key", lambda: {"bf16": True}) == {"bf16": True}


@pytest.mark.usefixtures("own_cache")
def test_all_of_it_can_be_forgotten_and_nothing_else():
    forget()  # there is no folder yet
    for key in ("one", "another"):
        remembered("test", key, lambda: {"bf16": True})
    (cache_folder() / "notes.json").write_text("{}")
    forget()
    assert [path.name for path in cache_folder().glob("*.json")] == ["notes.json"]
    assert remembered("test", "one", lambda: {"bf16": False}) == {"bf16": False}


MEASURE = """
import sys, time
from search.workers.remembered import remembered
from search.log import show_log
def measure():
    print("measures", flush=True)
    time.sleep(4)
    return {"by": sys.argv[1]}
show_log()
print(remembered("test", "key", measure)["by"])
"""


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.usefixtures("own_cache")
def test_of_two_that_measure_the_second_waits_for_the_first(killed):
    def start(name: str) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", MEASURE, name], stdout=subprocess.PIPE, text=True)

    first = start("first")
    assert first.stdout.readline() == "measures\n"
    second = start("second")
    assert second.stdout.readline() == "waiting for another process that measures this machine (test)\n"
    if killed:
        first.kill()
    first.wait()
    assert second.communicate(timeout=60)[0].split() == (["measures", "second"] if killed else ["first"])
