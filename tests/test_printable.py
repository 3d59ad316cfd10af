"""Nothing that a terminal obeys reaches it, wherever it comes from."""

import logging

import pytest
from builders import run, trial

from search.command.cli import Parser, guarded
from search.errors import UserError, one_line, printable
from search.log import ScreenHandler, show_log
from search.show.progress import Progress
from search.show.terminal import Terminal
from search.show.trial_table import TRIAL, parameter, table

RED = "\x1b[31m"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ± 1, 犬 and \u00a0", "plain, ± 1, 犬 and \u00a0"),
        (f"{RED}red", "\\x1b[31mred"),
        ("over\rwritten, \x07\x08\x9b", "over\\rwritten, \\x07\\x08\\x9b"),
        ("turned \u202e around", "turned \\u202e around"),
        ("no UTF-8: \udce9", "no UTF-8: \\udce9"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\U0001f469\u200d\U0001f52c", "\U0001f469\u200d\U0001f52c"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown


def test_one_line():
    assert one_line("two\nlines\tand a tab") == "two\\nlines\\tand a tab"


def test_in_errors(capsys):
    def command():
        raise UserError(f"there is no {RED}\nfolder")

    assert guarded(command) == 2
    assert capsys.readouterr().err == "error: there is no \\x1b[31m\\nfolder\n"


def test_in_the_log(capsys):
    record = logging.LogRecord("search", logging.INFO, "", 1, f"class {RED}", None, None)
    ScreenHandler().emit(record)
    assert capsys.readouterr().out == "class \\x1b[31m\n"


def test_in_help():
    parser = Parser(description=f"of the folder {RED}")
    assert "\\x1b[31m" in parser.format_help()


def test_in_tables():
    drawn = trial(0, params={f"a{RED}": "b\nc"})
    assert [line.split() for line in table([drawn], (TRIAL, parameter(f"a{RED}")))] == [
        ["trial", "a\\x1b[31m"],
        ["0", "b\\nc"],
    ]


def test_on_the_terminal_of_a_search(capsys):
    show_log()
    Terminal(Progress(1, 1, 1, runs=[run()])).note(RED)
    assert capsys.readouterr().out == "\\x1b[31m\n"
