"""What a report shows of the images that go wrong: by classes, and the worst of them as pictures."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from search.insight.mistakes import Confusion, confusion_matrix, confusions
from search.insight.per_class import ClassFigures, per_class
from search.measurement import mean_recall
from search.results.predictions import TEST, VALIDATION, Predictions, read
from search.results.suspects import Suspects
from search.results.suspects import read as suspects_of
from search.show.confusion import confusion_graph

MOST_CONFUSIONS = 12
MOST_CLASSES = 100  # of a table
EXACT_SIDE = 48  # pixels, up to which a picture is a PNG; a JPEG of a larger one is smaller
QUALITY = 85  # of a JPEG


@dataclass(frozen=True)
class Card:
    """A picture and what is said of it."""

    source: str  # a data URI
    name: str  # of its file, or its number
    lines: tuple[str, ...]


@dataclass(frozen=True)
class SplitMistakes:
    """The mistakes on the images of one split."""

    split: str
    images: int
    right: int
    balanced_accuracy: float
    graph: go.Figure | None  # the confusion matrix
    kinds: int  # classes in it
    confusions: list[Confusion]
    classes: list[ClassFigures]  # the lowest recall first
    cards: list[Card]


def mistakes(folder: Path, exported: Mapping[str, Any] | None) -> list[SplitMistakes]:
    """Of the weights taken home, for each split that the run folder has predictions of.

    exported: the content of best.yaml, where there is one of the chosen trial.
    """
    if exported is None:
        return []
    names, temperature = exported["data"]["classes"], (exported.get("calibration") or {}).get("temperature", 1.0)
    found = [(split, read(folder, split, exported.get("weights_sha256"))) for split in (VALIDATION, TEST)]
    return [
        _of_split(split, one, names, temperature)
        for split, one in found
        if one is not None and one.logits.shape[1] == len(names) and len(one.labels)
    ]


def _of_split(split: str, found: Predictions, names: Sequence[str], temperature: float) -> SplitMistakes:
    matrix = confusion_matrix(found.labels, found.predicted, len(names))
    correct = found.predicted == found.labels
    return SplitMistakes(
        split=split,
        images=len(correct),
        right=int(correct.sum()),
        balanced_accuracy=mean_recall(found.labels, correct),
        graph=confusion_graph(matrix, names),
        kinds=len(names),
        confusions=confusions(matrix, names, MOST_CONFUSIONS),
        classes=per_class(found.labels, found.predicted[None], names)[:MOST_CLASSES],
        cards=list(_cards(found, names, temperature)),
    )


def _cards(found: Predictions, names: Sequence[str], temperature: float) -> Iterator[Card]:
    probabilities = found.probabilities(temperature)
    for place, pixels, name in zip(*vars(found.pictures).values(), strict=True):
        true, taken, of = found.labels[place], found.predicted[place], probabilities[place]
        lines = (f"taken for {names[taken]} ({of[taken]:.1%})", f"true: {names[true]} ({of[true]:.1%})")
        yield Card(picture(pixels), str(name) or f"image {found.images[place]}", lines)


def suspects(folder: Path, exported: Mapping[str, Any] | None) -> tuple[str, list[Card]] | None:
    """What `gapsearch labels` found, in a sentence, and the most suspicious images; None before."""
    found = None if exported is None else suspects_of(folder, exported.get("weights_sha256"))
    if exported is None or found is None:
        return None
    names = exported["data"]["classes"]
    told = (
        f"{len(found.labels):,} of {found.examined:,} images are taken for another class than their label by most of "
        f"{found.networks} networks that did not train on them"
    )
    cards = [
        Card(picture(pixels), str(name) or f"image {found.images[place]}", _said(found, place, names))
        for place, pixels, name in zip(*vars(found.pictures).values(), strict=True)
    ]
    return told, cards


def _said(found: Suspects, place: int, names: Sequence[str]) -> tuple[str, ...]:
    return (
        f"label: {names[found.labels[place]]}",
        f"rather: {names[found.suggested[place]]} ({found.wrong[place]} of {found.networks}, "
        f"loss {found.losses[place]:.2f})",
    )


def picture(pixels: np.ndarray) -> str:
    """uint8 (c, h, w), c of 1 or 3, as a data URI of some kB."""
    image, stream = Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, 2)), io.BytesIO()
    kind = "png" if max(image.size) <= EXACT_SIDE else "jpeg"
    image.save(stream, kind, **({"optimize": True} if kind == "png" else {"quality": QUALITY}))
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
