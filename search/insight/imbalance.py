"""How uneven the classes of a search are, in words, and the balanced accuracy that stands beside an accuracy then."""

from collections.abc import Mapping
from typing import Any

from search.balance import UNEVEN, ratio


def imbalance(data: Mapping[str, Any], balanced: bool) -> list[str]:
    """A line on the sizes of uneven classes; none where they are even, or where an older study does not tell.

    data: what a study says of its images. balanced: whether the classes weigh alike.
    """
    counts = {
        name: count for name, count in zip(data.get("classes", ()), data.get("train_counts", ()), strict=False) if count
    }
    times = ratio(list(counts.values()))
    if times <= UNEVEN:
        return []
    fewest, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    weighed = "--balance weighs them alike in training and in all losses"
    if not balanced:
        weighed = "images count alike, so large classes count more; --balance weighs classes alike"
    return [
        f"uneven classes: {counts[fewest]:,} ({fewest}) to {counts[most]:,} ({most}) images to train on, "
        f"{times:.1f} times as many; {weighed}"
    ]


def balanced_accuracy(known: float | None) -> str:
    """`, balanced accuracy 61.2%`; nothing where it is not known."""
    return "" if known is None else f", balanced accuracy {known:.1%}"
