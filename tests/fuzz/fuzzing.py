"""What all fuzz tests share: how many inputs each tries, and what may come of one.

GAPSEARCH_FUZZ=N tries about N inputs in all of these tests together, each time others; without it a few, always the
same ones.
"""

import os
import time
from collections.abc import Callable

from hypothesis import HealthCheck, settings

from search.command.cli import main
from search.errors import UserError

TESTS = 10  # that share the inputs
USUAL = 25  # inputs of each test, where nothing else is asked for
SECONDS = 20.0  # for one input: beyond, something waits for ever
ASKED = int(os.environ.get("GAPSEARCH_FUZZ", "0"))

fuzzed = settings(
    max_examples=max(ASKED // TESTS, 1) if ASKED else USUAL,
    derandomize=not ASKED,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def tried(call: Callable[[], object]) -> object:
    """What `call` returns, or the UserError that it raises; anything else it raises ends the test.

    The error has one line, and it all ends within SECONDS.
    """
    began, result = time.monotonic(), None
    try:
        result = call()
    except UserError as error:
        result = error
    assert not isinstance(result, UserError) or len(str(result).splitlines()) == 1
    assert time.monotonic() - began < SECONDS
    return result


def commanded(arguments: list[str], capsys: object) -> tuple[int, str, str]:
    """The exit code of a command, and what it said: one line on stderr where it did not do what was asked for.

    Nothing that a terminal would obey is in it.
    """
    began = time.monotonic()
    try:
        code = main(arguments)
    except SystemExit as ended:  # --help
        code = ended.code
    output, errors = capsys.readouterr()
    assert time.monotonic() - began < SECONDS
    assert code in (0, 1, 2)
    assert "Traceback" not in errors
    if code == 2:
        assert len([line for line in errors.splitlines() if line.startswith("error: ")]) == 1, errors
    said = (output + errors).replace("\n", "").replace("\t", "")
    assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in said), said
    return code, output, errors
