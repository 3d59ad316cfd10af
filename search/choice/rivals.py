"""What needs no network: the accuracies that a chosen one is held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rivals:
    """Accuracies in [0, 1] on the validation split; None where an older release has not recorded it."""

    baseline: float | None = None  # of the linear baseline
    largest_class: float | None = None  # of naming the largest class each time: its share of the labels
    baseline_balanced: float | None = None  # balanced accuracy of the linear baseline, where the classes are uneven

    @classmethod
    def recorded(cls, choice: Mapping[str, Any]) -> "Rivals":
        """As the part `choice` of a best.yaml tells of them, see `as_dict`."""
        names = ("baseline_accuracy", "largest_class", "baseline_balanced_accuracy")
        return cls(*(choice.get(name) for name in names))

    def as_dict(self) -> dict[str, float | None]:
        """For best.yaml."""
        balanced = {} if self.baseline_balanced is None else {"baseline_balanced_accuracy": self.baseline_balanced}
        return {"baseline_accuracy": self.baseline, **balanced, "largest_class": self.largest_class}

    def balanced(self, classes: int) -> "Rivals":
        """The same of balanced accuracy, where naming one of so many classes each time has 1 / classes."""
        return Rivals(self.baseline_balanced, 1 / classes)

    @property
    def known(self) -> dict[str, float]:
        """Those that were recorded, by what they are called."""
        named = {"linear baseline": self.baseline, "largest class": self.largest_class}
        return {name: accuracy for name, accuracy in named.items() if accuracy is not None}

    def unbeaten(self, accuracy: float) -> dict[str, float]:
        """Those that a network of that accuracy is no better than."""
        return {name: rival for name, rival in self.known.items() if accuracy <= rival}
