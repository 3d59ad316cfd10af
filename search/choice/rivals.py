"""What needs no network: the accuracies that a chosen one is held against."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rivals:
    """Accuracies in [0, 1] on the validation split; None where an older release has not recorded it."""

    baseline: float | None = None  # of the linear baseline
    largest_class: float | None = None  # of naming the largest class each time: its share of the labels

    @property
    def known(self) -> dict[str, float]:
        """Those that were recorded, by what they are called."""
        named = {"linear baseline": self.baseline, "largest class": self.largest_class}
        return {name: accuracy for name, accuracy in named.items() if accuracy is not None}

    def unbeaten(self, accuracy: float) -> dict[str, float]:
        """Those that a network of that accuracy is no better than."""
        return {name: rival for name, rival in self.known.items() if accuracy <= rival}
