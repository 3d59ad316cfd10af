"""What `gapsearch confirm` has found, in plain words. Of luck and optimism only beyond noise."""

from collections.abc import Mapping, Sequence
from typing import Any

from search.insight.fresh_seeds import beyond_noise
from search.insight.runners_up import LOWEST
from search.insight.worth import optimism

WORST = 3  # classes that are named


def table(metrics: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """The figures on both splits, in lines. metrics: as recorded by the search; found: the confirmation."""
    seeds = len(found["seeds"])
    lines = [
        f"recorded by the search: val_loss {metrics['val_loss']:.4f} ± {metrics['val_loss_se']:.4f}, "
        f"accuracy {_accuracies(metrics, 'val')}, gap {metrics['gap']:.4f} ± {metrics['gap_se']:.4f}",
        f"with fresh seeds:       val_loss {_figure(found, 'val_loss')}, accuracy {_accuracies(found, 'val')}, "
        f"gap {_figure(found, 'val_gap')}",
        f"on the test split:      test_loss {_figure(found, 'test_loss')}, accuracy {_accuracies(found, 'test')}, "
        f"gap {_figure(found, 'test_gap')}",
        f"best.pt itself:         test_loss {_figure(found, 'exported_test_loss')}, "
        f"accuracy {_accuracies(found, 'exported_test')} ({found['test_images']:,} images)",
    ]
    if "ensemble_test_loss" in found:
        lines.append(
            f"ensemble.pt:            test_loss {_figure(found, 'ensemble_test_loss')}, "
            f"accuracy {_accuracies(found, 'ensemble_test')}"
        )
    if seeds < 2:
        lines.append("one seed says nothing of noise: the fresh figures have no errors; take more --seeds")
    return lines


def verdicts(metrics: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """What the figures say, in sentences without their full stop."""
    if "openings" not in found:  # of an older release
        return [optimism(found, metrics)]
    return [
        *_diverged(found.get("diverged", ()), found["seeds"]),
        _luck(metrics["val_loss"], found),
        _offset(found),
        *(_beside(one, len(found["seeds"])) for one in found["others"]),
        *worst_classes(found["classes"]),
        *_opened(found["openings"]),
    ]


def worst_classes(classes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Those of lowest recall, in a line. classes: see `search.insight.per_class.ClassFigures`, the worst first."""
    named = ", ".join(
        f"{one['name']} {one['recall']:.1%} ± {one['recall_se']:.1%} (precision {_precision(one)}, "
        f"{one['support']:,} images)"
        for one in classes[:WORST]
    )
    return [f"worst classes on the test split by recall: {named}"] if named else []


def _diverged(seeds: Sequence[int], others: Sequence[int]) -> list[str]:
    if not seeds:
        return []
    return [
        f"with {len(seeds)} of {len(seeds) + len(others)} fresh seeds the training diverged; these are in no figure, "
        f"and this configuration may fail you too"
    ]


def _luck(recorded: float, found: Mapping[str, Any]) -> str:
    share = f" ({found['optimism'] / recorded:+.0%})" if recorded else ""
    figures = f"{_signed(found, 'optimism')}{share} on the same images"
    if found["optimism_se"] is None:
        return f"the recorded val_loss differs from that of a fresh seed by {figures}"
    if not beyond_noise(found, "optimism", len(found["seeds"])):
        return f"the recorded val_loss is within noise of fresh seeds: they have {figures}"
    if found["optimism"] > 0:
        return f"the recorded val_loss was lucky: fresh seeds have {figures}; that is the optimism of the search"
    return f"the recorded val_loss was unlucky: fresh seeds have {figures}"


def _offset(found: Mapping[str, Any]) -> str:
    offset = f"test minus validation loss of the same weights: {_signed(found, 'split_offset')}"
    if not beyond_noise(found, "split_offset", len(found["seeds"])):
        return f"{offset}, {_noise(found, 'split_offset')}"
    if found["split_offset"] < 0:
        return f"{offset}: the test images are easier"
    return (
        f"{offset}: the test images are harder; that is the split, no luck of the seed "
        "(what choosing by these validation images adds is in it)"
    )


def _beside(one: Mapping[str, Any], seeds: int) -> str:
    """The choice against another trial that was trained with the same seeds."""
    return (
        f"trial {one['trial']}, the {one['role']}: test_loss {_figure(one, 'test_loss')}, "
        f"gap {_figure(one, 'test_gap')}; {_price(one, seeds)}"
    )


def _price(one: Mapping[str, Any], seeds: int) -> str:
    loss, gap = _signed(one, "test_loss_difference"), _signed(one, "test_gap_difference")
    smaller = one["role"] == LOWEST and one["test_gap_difference"] < 0
    what = "the smaller gap of the choice" if smaller else "the choice"
    if not beyond_noise(one, "test_loss_difference", seeds):
        return f"{what} has {loss} test loss, {_noise(one, 'test_loss_difference')}, and {gap} gap"
    verb = "cost" if one["test_loss_difference"] > 0 else "gained"
    return f"{what} {verb} test loss, {loss}, at {gap} gap"


def _opened(times: int) -> list[str]:
    if times < 2:
        return ["the test split was opened for the first time from this run folder"]
    return [
        f"the test split was opened for time {times} from this run folder: whoever changes anything for what it showed "
        "has made it a second validation split"
    ]


def _noise(found: Mapping[str, Any], name: str) -> str:
    return "one seed alone" if found[f"{name}_se"] is None else "within noise"


def _figure(found: Mapping[str, Any], name: str) -> str:
    return f"{found[name]:.4f}{_error(found, name)}"


def _signed(found: Mapping[str, Any], name: str) -> str:
    return f"{found[name]:+.4f}{_error(found, name)}"


def _error(found: Mapping[str, Any], name: str) -> str:
    return "" if found[f"{name}_se"] is None else f" ± {found[f'{name}_se']:.4f}"


def _accuracies(found: Mapping[str, Any], split: str) -> str:
    """`90.0% ± 1.0%`; where classes are uneven `90.0% ± 1.0% (balanced 71.0% ± 2.1%)`."""
    balanced = f"{split}_balanced_accuracy"
    beside = f" (balanced {_share(found, balanced)})" if found.get(balanced) is not None else ""
    return f"{_share(found, f'{split}_accuracy')}{beside}"


def _share(found: Mapping[str, Any], name: str) -> str:
    error = found.get(f"{name}_se")  # what the search records of accuracies has none
    return f"{found[name]:.1%}{'' if error is None else f' ± {error:.1%}'}"


def _precision(one: Mapping[str, Any]) -> str:
    return "none" if one["precision"] is None else f"{one['precision']:.1%} ± {one['precision_se']:.1%}"
