"""Families of networks: each module holds ranges, `suggest(trial) -> config`, `build(config, ...)` and `start()`."""

from typing import Protocol


class Trial(Protocol):
    """The part of an Optuna trial that the families here need."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...
    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...
