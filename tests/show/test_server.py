"""The dashboard's server: whom it answers, and what stands in the way of starting it."""

import socket

import pytest
from builders import recorded_study

from search.command.cli import main
from search.show.server import local_only


@pytest.mark.parametrize(
    ("host", "answered"),
    [("127.0.0.1:8080", True), ("localhost", True), ("[::1]:8080", True), ("evil.example:8080", False), ("", False)],
)
def test_it_answers_under_this_machines_own_name_only(host, answered):
    statuses = []
    application = local_only(lambda environ, start: [b"dashboard"])
    body = application({"HTTP_HOST": host}, lambda status, headers: statuses.append(status))
    assert (body == [b"dashboard"]) == answered
    assert statuses == ([] if answered else ["403 Forbidden"])


def test_no_such_folder(tmp_path, capsys):
    assert main(["dashboard", str(tmp_path / "none")]) == 2
    remedy = "name a run folder such as runs/digits"
    assert capsys.readouterr().err == f"error: there is no folder {tmp_path / 'none'}; {remedy}\n"


def test_no_study_in_the_folder(tmp_path, capsys):
    assert main(["dashboard", str(tmp_path)]) == 2
    assert "there is no" in capsys.readouterr().err


def test_a_port_that_is_taken(tmp_path, capsys):
    recorded_study([], storage=f"sqlite:///{tmp_path / 'study.db'}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["dashboard", str(tmp_path), "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert error == f"error: port {port} is taken, by another dashboard perhaps; name another one with --port\n"
