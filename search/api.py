"""What a program or a notebook calls.

from search import Search

result = Search(name="digits", dataset="digits", trials=8, epochs=5, out="runs/mine").run()
"""

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.processes import start_fork_server
from search.settings import Settings

if TYPE_CHECKING:
    from search.results.run_folder import Result


@dataclass(frozen=True)
class Search(Settings):
    """A search that can be run, from any thread and as often as wanted; for its fields see `Settings`."""

    def run(self) -> "Result":
        """Run the trials that are missing, choose and export.

        Raises UserError for input that cannot work, and KeyboardInterrupt after Ctrl-C: everything is kept,
        `Result(folder)` reads it, and another `run` goes on from there.
        """
        print(f"{self.name}: run folder {self.folder}", flush=True)  # what follows takes seconds to import
        start_fork_server()
        from search.engine.launch import run_search  # imports torch and Optuna, seconds that --help need not take
        from search.results.run_folder import Result

        ended_by = run_search(self)
        if ended_by == signal.SIGINT:
            raise KeyboardInterrupt
        if ended_by is not None:
            raise SystemExit(128 + ended_by)
        return Result(self.folder, self.storage, self.name)
