"""The corners of a space checked in a process of their own, so that a space that ends it does not end the search."""

import multiprocessing
import signal
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import NamedTuple

from search.checks.corners import Point, check_corners
from search.errors import UserError
from search.processes import end_with_parent, hidden_main, how_it_ended, start, start_fork_server
from search.show.text import short
from search.spaces import suggester

Ranges = Mapping[str, tuple[float, float]]


class _Verdict(NamedTuple):
    """What came of the check."""

    problem: str | None


def check_apart(
    space: str, ranges: Ranges, shape: tuple[int, int, int], classes: int, weights: str | None = None
) -> None:
    """`check_corners` of a space with some of its ranges changed, and the weights that its networks begin with.

    Raises UserError where that does, and where the space ends the process that builds its networks.
    """
    start_fork_server()
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=_check, args=(theirs, space, ranges, shape, classes, weights), daemon=True, name="corners"
    )
    with theirs, hidden_main():
        start(process)
    where = "at all"
    try:
        while not isinstance(said := ours.recv(), _Verdict):
            where = said
    except (EOFError, OSError):
        process.join()
        raise UserError(
            f"the space {space} does not work {where}: its process {how_it_ended(process.exitcode)}; mend it"
        ) from None
    finally:
        process.kill()
        process.join()
        ours.close()
    if said.problem is not None:
        raise UserError(said.problem)


def _check(
    connection: Connection,
    space: str,
    ranges: Ranges,
    shape: tuple[int, int, int],
    classes: int,
    weights: str | None,
) -> None:
    """The process's life: it tells where it is, and at last what came of it."""
    for number in (signal.SIGINT, signal.SIGHUP):  # they reach the whole group; the parent ends this process
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()

    def ahead(point: Point) -> None:
        values = ", ".join(f"{name}={short(value)}" for name, value in point.params.items())
        connection.send(f"with {values}" if values else "whatever its parameters")

    try:
        check_corners(space, suggester(space, ranges, weights), shape, classes, ahead)
        connection.send(_Verdict(None))
    except UserError as error:
        connection.send(_Verdict(str(error)))
