"""gapsearch: hyperparameter search for image classifiers that targets the generalization gap."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.api import Search
    from search.errors import SearchInterrupted, UserError
    from search.results.best_yaml import Best, load
    from search.results.run_folder import Result
    from search.results.trial_result import TrialResult

__all__ = ["Best", "Result", "Search", "SearchInterrupted", "TrialResult", "UserError", "load"]

_MODULES = {
    "Best": "search.results.best_yaml",
    "Result": "search.results.run_folder",
    "Search": "search.api",
    "SearchInterrupted": "search.errors",
    "TrialResult": "search.results.trial_result",
    "UserError": "search.errors",
    "load": "search.results.best_yaml",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import what is asked for only then: torch takes seconds, and rules do without it."""
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'search' has no attribute {name!r}")
