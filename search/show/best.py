"""A best.yaml in words: its figures, why it was chosen, and what to do with it."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from search.choice.rivals import Rivals
from search.insight.confirmed import verdicts
from search.insight.doubts import beside, doubt, never_recognized
from search.insight.evidence import from_few_images, judged
from search.insight.worth import calibrated, expectation
from search.show.text import short

PACKAGED = ("digits",)  # data sets whose images come with a package


def describe(content: Mapping[str, Any], path: Path) -> Iterator[str]:
    """Line by line. content: of the best.yaml at `path`."""
    choice, metrics, images = content["choice"], content["metrics"], content["data"]["val_size"]
    rivals = Rivals.recorded(choice)
    if refit := content.get("refit"):
        yield (
            f"refit on {refit['images']:,} images, those that validated among them: "
            f"test_loss {refit['test_loss']:.4f} ± {refit['test_loss_se']:.4f}, accuracy {refit['test_accuracy']:.1%}; "
            f"what follows is of the search"
        )
    yield from _figures(content, rivals)
    yield from (f"  {line}" for line in never_recognized(choice.get("unrecognized", ())))
    yield from (
        f"  {line}" for line in from_few_images(metrics["val_accuracy"], metrics["val_loss_se"], images, rivals)
    )
    yield f"chosen: {choice['because']}"
    if choice["over"]:
        yield f"  over {'trial' if len(choice['over']) == 1 else 'trials'} {', '.join(map(str, choice['over']))}"
    if confirmed := content.get("confirmation"):
        yield (
            f"confirmed with fresh seeds on the test split: test_loss {confirmed['test_loss']:.4f}, "
            f"accuracy {confirmed['test_accuracy']:.1%}"
        )
        yield from (f"  {line}" for line in verdicts(metrics, confirmed))
    yield f"configuration, of the space {content['space']}"
    width = max(map(len, content["config"]), default=0)
    for name, value in content["config"].items():
        yield f"  {name:{width}}  {short(value)}"
    yield f"load it:         search.load({str(path)!r}).trained()"
    if "refit" not in content:
        yield f"train it again:  gapsearch train {shlex.quote(str(path))}{images_flag(content)}"


def images_flag(content: Mapping[str, Any]) -> str:
    """What a command on a best.yaml of that content needs besides, where it does not say where its images are."""
    data = content["data"]
    return "" if data.get("root") or data["name"] in PACKAGED else " --data-root DIR"


def _figures(content: Mapping[str, Any], rivals: Rivals) -> Iterator[str]:
    metrics, choice, expected = content["metrics"], content["choice"], content.get("expected")
    known = metrics.get("val_balanced_accuracy")
    balanced = "" if known is None else f" (balanced {known:.1%})"
    alike = len(content["data"]["classes"]) if content["data"].get("balance") else None
    doubted = doubt(metrics, expected, rivals, choice["baseline_loss"], alike)
    yield f"trial {content['trial']} of the study {content['study']}{f', {doubted}' if doubted else ''}"
    if expected:
        yield f"  expected    {expectation(expected, rivals)}"
    yield (
        f"  val_loss    {metrics['val_loss']:.4f} ± {metrics['val_loss_se']:.4f}  "
        f"as recorded (linear baseline {choice['baseline_loss']:.4f})"
    )
    yield (
        f"  gap         {metrics['gap']:.4f} ± {metrics['gap_se']:.4f}"
        + ("" if choice["max_gap"] is None else f"  (at most {choice['max_gap']:g} allowed)")
    )
    yield (
        f"  accuracy    {metrics['val_accuracy']:.1%}{balanced} on {content['data']['val_size']:,} validation images, "
        f"{metrics['train_accuracy']:.1%} on the train probe" + (f" ({beside(rivals)})" if rivals.known else "")
    )
    if calibration := content.get("calibration"):
        yield f"  calibrated  {calibrated(calibration)}"
    yield (
        f"  fit         {judged(metrics['fit'], content['data']['val_size'])}; "
        f"best at epoch {content['epochs']}, stopped: {choice['stopped']}"
    )
    yield f"  parameters  {metrics['parameters']:,}"
