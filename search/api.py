"""What a program or a notebook calls.

from search import Search

result = Search(name="digits", dataset="digits", trials=8, epochs=5, out="runs/mine").run()
"""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.errors import SearchInterrupted
from search.log import show_log
from search.processes import start_fork_server
from search.settings import Settings

if TYPE_CHECKING:
    from search.results.run_folder import Result

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Search(Settings):
    """A search that can be run, from any thread and as often as wanted; for its fields see `Settings`."""

    def run(self) -> "Result":
        """Run the trials that are missing, choose and export.

        Its progress is logged, and shown on the screen unless the program has set up logging.

        Raises UserError for input that cannot work. Raises SearchInterrupted, a KeyboardInterrupt, after Ctrl-C or
        SIGTERM: everything is kept, `Result(folder)` reads it, and another `run` goes on from there.
        """
        show_log()
        logger.info(f"{self.name}: run folder {self.folder}")  # what follows takes seconds to import
        start_fork_server()
        from search.engine.launch import run_search  # imports torch and Optuna, seconds that --help need not take
        from search.results.run_folder import Result

        ended_by = run_search(self)
        if ended_by is not None:
            raise SearchInterrupted(ended_by)
        return Result(self.folder, self.storage, self.name)
