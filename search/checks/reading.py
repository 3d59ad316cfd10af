"""Which entries of a configuration are read, and what one that nothing reads was meant to be called."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

LIKENESS = 0.5  # of two names, from which one may be meant for the other; 1 for equal ones


@dataclass
class Reads:
    """What has been read of configurations so far."""

    found: set[str] = field(default_factory=set)
    missed: set[str] = field(default_factory=set)  # asked for, and not there

    def __or__(self, other: "Reads") -> "Reads":
        """Both."""
        return Reads(self.found | other.found, self.missed | other.missed)


class Watched(dict[str, Any]):
    """A configuration that notes what is read of it. Whoever copies it or goes through it may read everything."""

    def __init__(self, config: dict[str, Any], reads: Reads) -> None:
        super().__init__(config)
        self._reads = reads

    def _note(self, name: str) -> None:
        (self._reads.found if dict.__contains__(self, name) else self._reads.missed).add(name)

    def _note_all(self) -> None:
        self._reads.found.update(dict.keys(self))

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401
        self._note(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._note(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401
        """As of a dict."""
        self._note(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:  # noqa: ANN401
        """As of a dict."""
        self._note(name)
        return super().pop(name, *default)

    def setdefault(self, name: str, default: Any = None) -> Any:  # noqa: ANN401
        """As of a dict."""
        self._note(name)
        return super().setdefault(name, default)

    def popitem(self) -> tuple[str, Any]:
        """As of a dict."""
        name, value = super().popitem()
        self._reads.found.add(name)
        return name, value

    def __reversed__(self) -> Iterator[str]:
        self._note_all()
        return super().__reversed__()

    def __iter__(self) -> Iterator[str]:
        self._note_all()
        return super().__iter__()

    def keys(self) -> Any:  # noqa: ANN401
        """As of a dict."""
        self._note_all()
        return super().keys()

    def values(self) -> Any:  # noqa: ANN401
        """As of a dict."""
        self._note_all()
        return super().values()

    def items(self) -> Any:  # noqa: ANN401
        """As of a dict."""
        self._note_all()
        return super().items()

    def copy(self) -> dict[str, Any]:
        """As of a dict."""
        self._note_all()
        return super().copy()

    def __or__(self, other: Any) -> Any:  # noqa: ANN401
        self._note_all()
        return super().__or__(other)

    def __ror__(self, other: Any) -> Any:  # noqa: ANN401
        self._note_all()
        return super().__ror__(other)


def likely(name: str, known: Iterable[str]) -> str | None:
    """Which of the names `known` was meant: `lr` is learning_rate by its initials; None where none is close."""
    names = sorted(known)
    by_initials = [one for one in names if "".join(part[:1] for part in one.split("_")) == name.lower()]
    alike = difflib.get_close_matches(name.lower(), names, n=1, cutoff=LIKENESS)
    return next(iter([*by_initials, *alike]), None)
