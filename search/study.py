"""What a study script calls: flags, start, resume, end.

from search.study import main

if __name__ == "__main__":
    main(name="digits", dataset="digits")
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from search.api import Search
from search.command.cli import Parser, guarded
from search.command.flags import add_flags, purpose, search_of


def main(arguments: Sequence[str] | None = None, **study: Any) -> NoReturn:  # noqa: ANN401
    """Run a study script: `study` are its `Settings`, flags go before them.

    Exits with 0; with 2 after bad input; with 128 and the number of the signal after Ctrl-C (130) or SIGTERM (143).
    """
    sys.exit(guarded(lambda: _run(arguments, study)))


def _run(arguments: Sequence[str] | None, study: Mapping[str, Any]) -> int:
    parse(arguments, study).run()
    return 0


def parse(arguments: Sequence[str] | None, study: Mapping[str, Any]) -> Search:
    """Flags and the study's own settings -> a search. Raises UserError."""
    parser = Parser(description=purpose(study["dataset"]))
    add_flags(parser, study)
    return search_of(study, vars(parser.parse_args(arguments)))
