"""What the chosen configuration is worth, in sentences: what to expect of it, its calibration, how the race went."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from search.choice.rivals import Rivals
from search.insight.doubts import held_against
from search.insight.imbalance import balanced_accuracy

SURE = 2.0  # standard errors beyond which a difference is called one


def expectation(expected: Mapping[str, Any], rivals: Rivals) -> str:
    """The expected figures. expected: see `search.choice.expected.Expected`."""
    low, high = expected["loss_interval"]
    return (
        f"loss {expected['loss']:.4f} (90%: {low:.4f} to {high:.4f}), gap {expected['gap']:.4f}, "
        f"accuracy {held_against(expected['accuracy'], rivals)}"
        f"{balanced_accuracy(expected.get('balanced_accuracy'))}, {source(expected['seeds'])}"
    )


def source(seeds: int) -> str:
    """Where expected figures come from, and what luck is left in them."""
    if not seeds:
        return "of the seeds that it was chosen by, whose luck is still in it"
    return "from a seed that chose nothing" if seeds == 1 else f"from {seeds} seeds that chose nothing"


def optimism(confirmation: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """By how much the recorded loss was too good, in words that claim no more than noise allows.

    confirmation: of a best.yaml, in nats. metrics: its recorded figures. Where a confirmation does not tell the
    standard error of its optimism, that is put together from those of the recorded loss, the test images and the seeds.
    """
    difference = confirmation["optimism"]
    parts = (metrics["val_loss_se"], confirmation.get("exported_test_loss_se"), confirmation.get("test_loss_se"))
    error = confirmation.get("optimism_se") or math.hypot(*(part or 0.0 for part in parts))
    figures = f"{difference:+.4f} ± {error:.4f}"
    if abs(difference) <= SURE * error:
        return f"optimism of the search {figures}, which may be noise"
    return f"optimism of the search {figures}: it was too {'optimistic' if difference > 0 else 'pessimistic'}"


def calibrated(content: Mapping[str, Any]) -> str:
    """The `calibration` of a best.yaml in a line."""
    before, after = content["calibration_error"], content["calibration_error_calibrated"]
    if content["temperature"] == 1:
        return f"no temperature helps; confidence and accuracy are {before:.1%} apart"
    kind = "overconfident" if content["temperature"] > 1 else "underconfident"
    return (
        f"{kind}: temperature {content['temperature']:.2f} brings val_loss {content['val_loss']:.4f} to "
        f"{content['val_loss_calibrated']:.4f}, and confidence and accuracy from {before:.1%} apart to {after:.1%}"
    )


def raced(race: Sequence[Mapping[str, Any]]) -> list[str]:
    """How the race went, in a line. race: see `search.choice.race.Placed`."""
    if not race:
        return []
    ordered = sorted(race, key=lambda one: (not one["left"], one["val_loss"] is None, one["val_loss"]))
    left = [_placed(one) for one in ordered if one["left"]]
    out = [_placed(one) for one in ordered if not one["left"]]
    dropped = f"; out: {', '.join(out)}" if out else ""
    return [f"race with fresh seeds, mean val_loss (recorded) and mean gap: {', '.join(left)}{dropped}"]


def _placed(one: Mapping[str, Any]) -> str:
    """The choice is made by the mean gaps among those of lowest loss."""
    if one["val_loss"] is None:
        return f"trial {one['trial']} failed ({one['recorded']:.4f})"
    return f"trial {one['trial']} {one['val_loss']:.4f} ({one['recorded']:.4f}) gap {one['gap']:.4f}"
