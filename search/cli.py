"""The command line of `python -m search`, and how every command line here ends."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from search.errors import UserError

BAD_INPUT = 2


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError; `guarded` prints it."""
        raise UserError(f"{message}; see --help")


def guarded(command: Callable[[], int]) -> int:
    """Run a command; its exit code. 2 with one line on stderr after bad input, 130 after Ctrl-C."""
    try:
        return command()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, `head` perhaps
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command of `python -m search`."""
    return guarded(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    parser = Parser(prog="python -m search", description="Use what a search has found.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    train = commands.add_parser(
        "train",
        help="train the configuration of a best.yaml again",
        description="Train the configuration of a best.yaml again: to the last digit on a CPU, "
        "and within 5% of the recorded validation loss on CUDA. Exits 1 where it comes out otherwise.",
        epilog="example: python -m search train runs/digits/best.yaml",
    )
    train.add_argument("best", type=Path, metavar="best.yaml")
    train.add_argument("--data-root", type=Path, default=Path("data"), metavar="DIR", help="where the images are")
    train.add_argument("--device", default=None, help="default: the one it was found on")
    options = parser.parse_args(arguments)

    from search.export import load
    from search.retrain import retrain

    device = options.device or load(options.best).environment["device"]
    return 0 if retrain(options.best, options.data_root, device) else 1
