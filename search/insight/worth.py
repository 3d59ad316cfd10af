"""What the chosen configuration is worth, in sentences: what to expect of it, and how the race went."""

from collections.abc import Mapping, Sequence
from typing import Any


def expectation(expected: Mapping[str, Any]) -> str:
    """The expected figures. expected: see `search.choice.expected.Expected`."""
    low, high = expected["loss_interval"]
    return (
        f"loss {expected['loss']:.4f} (90%: {low:.4f} to {high:.4f}), gap {expected['gap']:.4f}, "
        f"accuracy {expected['accuracy']:.1%}, {source(expected['seeds'])}"
    )


def source(seeds: int) -> str:
    """Where expected figures come from, and what luck is left in them."""
    if not seeds:
        return "of the recorded seed, whose luck is still in it"
    return "from a seed that chose nothing" if seeds == 1 else f"from {seeds} seeds that chose nothing"


def raced(race: Sequence[Mapping[str, Any]]) -> list[str]:
    """How the race went, in a line. race: see `search.choice.race.Placed`."""
    if not race:
        return []
    ordered = sorted(race, key=lambda one: (not one["left"], one["val_loss"] is None, one["val_loss"]))
    left = [_placed(one) for one in ordered if one["left"]]
    out = [_placed(one) for one in ordered if not one["left"]]
    dropped = f"; out: {', '.join(out)}" if out else ""
    return [f"race with fresh seeds, mean val_loss (recorded): {', '.join(left)}{dropped}"]


def _placed(one: Mapping[str, Any]) -> str:
    mean = "failed" if one["val_loss"] is None else f"{one['val_loss']:.4f}"
    return f"trial {one['trial']} {mean} ({one['recorded']:.4f})"
