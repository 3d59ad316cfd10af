"""The hyperparameters that training itself reads, whatever the network is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """The part of a configuration that training reads; the defaults stand in for what a space does not suggest.

    Changing a default changes what a best.yaml stands for: raise `search.results.best_yaml.VERSION` with it.
    Raises ValueError for values that cannot be trained with.
    """

    batch_size: int = 128  # images in a step, about
    weight_decay: float = 0.01  # AdamW's default in torch; biases and normalization have none
    learning_rate: float = 1e-3  # likewise
    augmentation: float = 0.0  # strength, from 0 (none) to 1

    def __post_init__(self) -> None:
        for name, lowest, highest in (
            ("batch_size", 1, math.inf),
            ("weight_decay", 0, math.inf),
            ("learning_rate", 0, math.inf),
            ("augmentation", 0, 1),
        ):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not lowest <= value <= highest:
                limits = f"at least {lowest}" if highest == math.inf else f"from {lowest} to {highest}"
                raise ValueError(f"{name} is {value!r}; it must be a number {limits}")

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Recipe":
        """The recipe in a configuration."""
        return cls(**{field.name: config[field.name] for field in fields(cls) if field.name in config})
