"""What the library says, on a terminal and off it, and where the application has logging of its own."""

import io
import logging
import signal
import sys

import pytest

from search import Search
from search.command.cli import main
from search.errors import SearchInterrupted
from search.log import console, show_log

LONG = "/runs/" + 40 * "long/" + "best.yaml"
somewhere = logging.getLogger("search.somewhere")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def unset():
    """Logging as a program finds it, whatever earlier tests have done; and as it was afterwards."""
    logger = logging.getLogger("search")
    before = logger.handlers, logger.level, logger.propagate
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.NOTSET)
    yield
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


def narrow_terminal(monkeypatch):
    """Called in a test's body: pytest sets sys.stdout anew after fixtures."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "stdout", Terminal())
    return sys.stdout


@pytest.fixture
def own_root():
    """A handler that an application has given to the root logger, with INFO."""
    root, handler = logging.getLogger(), logging.StreamHandler(io.StringIO())
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def idle(tmp_path, monkeypatch):
    """A search that does nothing; `idle.ended_by` is the signal that ends it."""
    import search.engine.launch

    monkeypatch.setattr(search.engine.launch, "run_search", lambda settings: ended_by[0])
    ended_by = [None]
    return Search(name="digits", dataset="digits", out=tmp_path / "run"), ended_by


def test_bare_lines_off_a_terminal_each_once(capsys):
    show_log()
    show_log()
    somewhere.info("[bold]100%[/bold] 0.1 ± 0.2")
    somewhere.warning("mind this")
    somewhere.debug("not this")
    assert capsys.readouterr() == ("[bold]100%[/bold] 0.1 ± 0.2\nmind this\n", "")


def test_stdout_is_looked_up_when_a_line_comes(monkeypatch):
    show_log()
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    somewhere.info("here")
    assert sys.stdout.getvalue() == "here\n"


def test_on_a_terminal_a_long_path_stays_whole_and_nothing_is_coloured(monkeypatch):
    show_log()
    terminal = narrow_terminal(monkeypatch)
    somewhere.info(f"[1/2] written: {LONG} :smile: 0.5")
    assert terminal.getvalue() == f"[1/2] written: {LONG} :smile: 0.5\n"


def test_lines_stand_above_a_live_view(monkeypatch):
    from rich.live import Live

    show_log()
    terminal = narrow_terminal(monkeypatch)
    with Live("the view", console=console(), auto_refresh=False):
        somewhere.info(f"above {LONG}")
    shown = terminal.getvalue()
    assert shown.count(f"above {LONG}\n") == 1
    assert shown.index("the view") < shown.index("above") < shown.rindex("the view")  # drawn again below it


def test_a_reader_that_goes_away_is_told_of_like_by_print(monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    show_log()
    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError):
        somewhere.info("lost")


def test_a_search_from_a_notebook_shows_its_progress(idle, capsys):
    idle[0].run()
    assert capsys.readouterr().out == f"digits: run folder {idle[0].folder}\n"


def test_an_application_s_root_logger_gets_it_and_nothing_is_shown_twice(idle, own_root, capsys):
    idle[0].run()
    assert own_root.stream.getvalue() == f"digits: run folder {idle[0].folder}\n"
    assert capsys.readouterr().out == ""


def test_a_root_logger_for_warnings_does_not_hide_the_progress(idle, own_root, capsys):
    logging.getLogger().setLevel(logging.WARNING)
    idle[0].run()
    assert own_root.stream.getvalue() == ""
    assert "run folder" in capsys.readouterr().out


def test_an_application_s_own_level_is_respected(idle, capsys):
    logging.getLogger("search").setLevel(logging.WARNING)
    idle[0].run()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_raises_an_exception_that_names_it(idle, number):
    idle[1][0] = number
    with pytest.raises(KeyboardInterrupt, match=f"interrupted by {number.name}") as ended:
        idle[0].run()
    assert type(ended.value) is SearchInterrupted
    assert ended.value.signal == number


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_exits_with_the_signal(idle, capsys, number, code):
    idle[1][0] = number
    assert main(["run", "digits", "--out", str(idle[0].folder)]) == code
    assert capsys.readouterr().err == "interrupted\n"
