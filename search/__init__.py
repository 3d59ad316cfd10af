"""gapsearch: hyperparameter search for image classifiers that targets the generalization gap."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.export import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import what is asked for only then: torch takes seconds, and rules do without it."""
    if name == "load":
        from search.export import load

        return load
    raise AttributeError(f"module 'search' has no attribute {name!r}")
