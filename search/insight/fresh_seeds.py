"""What trainings with fresh seeds say of a configuration, on validation and test images: figures with their errors."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from search.measurement import over_seeds

JUDGED = ("split_offset", "test_loss_difference")  # which part of their error is the seeds' is told too, `NAME_seed_se`
IMAGE_ERRORS = 2.0  # that are noise


@dataclass(frozen=True)
class Trained:
    """k trainings of one configuration, the same seeds for all configurations; each array has the shape (k, images)."""

    train_losses: np.ndarray  # on the train probe, in nats
    val_losses: np.ndarray
    val_correct: np.ndarray  # bool
    test_losses: np.ndarray
    test_correct: np.ndarray
    val_alike: np.ndarray | None = None  # where classes are uneven, see `search.balance.counted_alike`
    test_alike: np.ndarray | None = None


def figures(trained: Trained) -> dict[str, float | None]:
    """Means over seeds, each with its standard error over seeds and images, `NAME_se`; None for one seed.

    `split_offset` is the test loss minus the validation loss of the same weights.
    """
    alike = {"val_balanced_accuracy": trained.val_alike, "test_balanced_accuracy": trained.test_alike}
    found = _with_errors(
        {
            "train_loss": (trained.train_losses,),
            "val_loss": (trained.val_losses,),
            "test_loss": (trained.test_losses,),
            "val_accuracy": (trained.val_correct,),
            "test_accuracy": (trained.test_correct,),
            "val_gap": (trained.val_losses, -trained.train_losses),
            "test_gap": (trained.test_losses, -trained.train_losses),
            "split_offset": (trained.test_losses, -trained.val_losses),
            **{name: (values,) for name, values in alike.items() if values is not None},
        }
    )
    shares = {name: min(max(value, 0.0), 1.0) for name in alike if (value := found.get(name)) is not None}
    return found | shares  # rounding may take a mean of weighed values beyond


def luck(recorded: float, trained: Trained) -> dict[str, float | None]:
    """By how much the recorded validation loss was too low: `optimism`, with its standard error.

    Fresh seeds are measured on the same images, so the images' error falls out. The recorded seed is one draw and the
    others k: s sqrt(1 + 1/k), s the standard deviation over seeds. None for one seed.
    """
    losses = [float(loss) for loss in trained.val_losses.mean(axis=1, dtype=np.float64)]
    error = statistics.stdev(losses) * math.sqrt(1 + 1 / len(losses)) if len(losses) > 1 else None
    return {"optimism": statistics.fmean(losses) - recorded, "optimism_se": error}


def difference(one: Trained, other: Trained) -> dict[str, float | None]:
    """`one` minus `other` on the test split, of loss and gap, paired by seed and image; with standard errors."""
    losses, train = one.test_losses - other.test_losses, one.train_losses - other.train_losses
    return _with_errors({"test_loss_difference": (losses,), "test_gap_difference": (losses, -train)})


def beyond_noise(found: Mapping[str, Any], name: str, seeds: int) -> bool:
    """Whether a figure that comes from that many seeds is further from 0 than noise takes 95 of 100.

    The error of a few seeds is itself uncertain: of theirs Student's t allows 12.7 with two seeds, 2.8 with five,
    of the images' two. Where the parts are not told it is the seeds' alone. So no more than 5 of 100 are false,
    whatever the parts; with degrees of freedom after Welch and Satterthwaite up to 13 would be, with two seeds.
    """
    error = found.get(f"{name}_se")
    if error is None:
        return False
    of_seeds = error if (told := found.get(f"{name}_seed_se")) is None else min(told, error)
    of_images = math.sqrt((error - of_seeds) * (error + of_seeds))
    return bool(abs(found[name]) > math.hypot(stdtrit(seeds - 1, 0.975) * of_seeds, IMAGE_ERRORS * of_images))


def _with_errors(parts: Mapping[str, tuple[np.ndarray, ...]]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for name, arrays in parts.items():
        found[name], found[f"{name}_se"], of_seeds = over_seeds(*arrays)
        if name in JUDGED:
            found[f"{name}_seed_se"] = of_seeds
    return found
