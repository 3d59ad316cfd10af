"""Finding a space of networks by name."""

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from optuna.trial import Trial

from search.errors import UserError


class Space(Protocol):
    """A module (or anything else) with these two functions.

    suggest: Optuna trial -> configuration, with at least `batch_size`, `weight_decay`, `learning_rate` and
        `augmentation`, which training reads.
    build: configuration, `channels=`, `image_size=` (height, width), `classes=` -> network with logits (n, classes).
    """

    def suggest(self, trial: Trial) -> dict[str, Any]: ...

    def build(
        self, config: dict[str, Any], *, channels: int, image_size: tuple[int, int], classes: int
    ) -> torch.nn.Module: ...


def load_space(name: str) -> Space:
    """The module of that dotted name, such as `spaces.cnn`.

    Raises UserError where there is none, or where it lacks `suggest` or `build`.
    """
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(f"there is no space {name!r} ({error}); write for example spaces.cnn") from error
    for function in ("suggest", "build"):
        if not callable(getattr(module, function, None)):
            raise UserError(
                f"the space {name!r} has no function {function}; it needs suggest(trial) and build(config, ...)"
            )
    return module


def suggester(name: str, ranges: Mapping[str, tuple[float, float]]) -> Callable[[Trial], dict[str, Any]]:
    """The `suggest` of a space, with some of its ranges changed.

    Raises UserError where the space has no such range.
    """
    space = load_space(name)
    if not ranges:
        return space.suggest
    try:
        changed = space.Ranges(**{key: tuple(bounds) for key, bounds in ranges.items()})  # type: ignore[attr-defined]
    except (AttributeError, TypeError) as error:
        raise UserError(f"the space {name!r} cannot take the ranges {dict(ranges)}: {error}") from error
    return functools.partial(space.suggest, ranges=changed)  # type: ignore[call-arg]
