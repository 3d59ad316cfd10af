"""`gapsearch check`: can the largest and the smallest network of a space overfit at all?"""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
import torch

from search.checks.corners import Point, corners
from search.data.tensors import SearchData
from search.networks import build_network
from search.show.text import short
from search.spaces import Space, Suggest, load_space
from search.start_weights import beginning_with
from search.training.memorize import IMAGES, MOST_STEPS, Memorized, few_images, memorize, with_random_labels
from search.training.precision import one_thread
from search.training.recipe import Recipe

logger = logging.getLogger(__name__)

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Extreme:
    """The largest or the smallest network among the corners of a space."""

    name: str
    point: Point
    parameters: int


def check_memory(space: str, suggest: Suggest, data: SearchData, seed: int, weights: str | None = None) -> bool:
    """Whether the largest and the smallest network memorize a few images, with true and with random labels.

    Prints a table, and names a network that cannot with its parameters and what to do.

    weights: that networks begin with, see `search.start_weights`.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    loaded, shape, classes = load_space(space), data.shape, len(data.classes)
    build = beginning_with(loaded.build, Path(weights or ""))
    true = few_images(data.to(CPU), seed)
    labelled = {"true": true, "random": with_random_labels(true, seed)}
    logger.info(f"memorizing {len(true.train)} images without regularization, in at most {MOST_STEPS} steps:")
    logger.info(
        f"{'network':10}{'parameters':>12}  {'labels':8}{'steps':>5}  {'train accuracy':>14}  {'train_loss':>10}"
    )
    failures = []
    with one_thread(), torch.random.fork_rng(devices=[]), warnings.catch_warnings(action="ignore"):
        points = list(corners(suggest))
        learning_rate = Recipe.of(points[0].config).learning_rate  # the middle one: a corner's own may be too high
        for extreme in extremes(points, loaded, shape, classes):
            config = extreme.point.config | {"learning_rate": learning_rate}
            if "dropout" in config:
                config["dropout"] = 0.0
            came_to = {}
            for labels, images in labelled.items():
                came_to[labels] = found = memorize(build, config, images, seed)
                logger.info(
                    f"{extreme.name:10}{extreme.parameters:12,}  {labels:8}{found.steps:5}  {found.accuracy:14.1%}  "
                    f"{found.loss:10.4f}"
                )
            failures += verdict(extreme, came_to["true"], came_to["random"])
    for line in failures:
        logger.warning(line)
    if not failures:
        logger.info("all of them are memorized: these networks can overfit, so regularization has something to do")
    return not failures


def extremes(points: Sequence[Point], space: Space, shape: tuple[int, int, int], classes: int) -> list[Extreme]:
    """The networks with the most and the fewest parameters that are trained; one where all have as many."""
    counted = [(_parameters(space, point, shape, classes), point) for point in points]
    most, fewest = max(counted, key=lambda one: one[0]), min(counted, key=lambda one: one[0])
    if most[0] == fewest[0]:
        return [Extreme("every one", points[0], most[0])]
    return [Extreme("largest", most[1], most[0]), Extreme("smallest", fewest[1], fewest[0])]


def verdict(extreme: Extreme, true: Memorized, random: Memorized) -> list[str]:
    """What is wrong with a network that does not memorize; nothing where it does."""
    if true.all_right and random.all_right:
        return []
    values = ", ".join(f"{name}={short(value)}" for name, value in extreme.point.params.items())
    who = f"the {extreme.name} network ({extreme.parameters:,} parameters: {values})".replace("the every", "every")
    if true.all_right:
        return [
            f"{who} memorizes true labels, not random ones ({random.accuracy:.0%} after {random.steps} steps): it has "
            f"little capacity; narrow the space to wider or deeper networks, unless it is meant to be that small"
        ]
    return [
        f"{who} cannot memorize {IMAGES} images ({true.accuracy:.0%} after {true.steps} steps, train_loss "
        f"{true.loss:.4f}, {random.accuracy:.0%} with random labels): it has too little capacity, or build has a fault "
        f"(a softmax before the loss, layers that are not registered, activations that die); mend build, or narrow the "
        f"space to wider or deeper networks"
    ]


def _parameters(space: Space, point: Point, shape: tuple[int, int, int], classes: int) -> int:
    """How many of a network are trained; it is built without memory for them where it can be."""

    def count(device: str) -> int:
        with torch.device(device):
            model = build_network(space.build, point.config, shape, classes)
        return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)

    try:
        return count("meta")
    except Exception:  # perhaps for want of real numbers
        return count("cpu")
