"""How far a result can be trusted that comes from few validation images."""

import math
from collections.abc import Mapping

from search.choice.choose import nearest
from search.choice.rivals import Rivals
from search.insight.doubts import named
from search.results.snapshot import StudySnapshot

FEW = 200  # validation images; below that an accuracy of 80% is not even known to 5 points
FEW_OF_A_CLASS = 10
NORMAL = 1.6449  # standard deviations to each side that hold 90% of a normal distribution
ZERO = 0.00005  # a standard error that is shown as 0.0000


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 90% interval of a probability, by the share of `count` tries (one or more) that came out that way.

    Wilson's score interval (Journal of the American Statistical Association 22, 1927); unlike one from the standard
    error, it has a width where all tries came out alike.
    """
    weight = NORMAL**2 / count
    middle = (share + weight / 2) / (1 + weight)
    half = NORMAL / (1 + weight) * math.sqrt(share * (1 - share) / count + weight / (4 * count))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def judged(fit: str, images: int | None) -> str:
    """The fit, and from how many validation images it was judged, where these are few."""
    return f"{fit} as far as {images} images tell" if images is not None and images < FEW else fit


def from_few_images(accuracy: float, loss_error: float, images: int | None, rivals: Rivals) -> list[str]:
    """A line on what an accuracy from few validation images says; none where they are many, or not known.

    loss_error: standard error of the validation loss.
    """
    if not images or images >= FEW:
        return []
    low, high = wilson(accuracy, images)
    within = [f"{name} ({rival:.1%})" for name, rival in rivals.known.items() if low <= rival < accuracy]
    reached = f"; the {' and the '.join(within)} {'lie' if len(within) > 1 else 'lies'} in that range" if within else ""
    certain = f"; that the standard error is {loss_error:.4f} is no certainty" if loss_error < ZERO else ""
    return [
        f"from few images: {round(accuracy * images)} of {images} are right, which any accuracy from {low:.1%} to "
        f"{high:.1%} can give (90% interval), and the choice rests on them too{reached}{certain}"
    ]


def small_classes(counts: Mapping[str, int]) -> list[str]:
    """A line that names the classes with few validation images; none where all have enough.

    counts: validation images of each class.
    """
    small = [f"{name} {count}" for name, count in counts.items() if count < FEW_OF_A_CLASS]
    return [f"classes of fewer than {FEW_OF_A_CLASS} validation images: {named(small)}"] if small else []


def evidence(snapshot: StudySnapshot) -> list[str]:
    """Both lines, on the chosen trial or the nearest to one, as far as they apply and the study tells."""
    chosen, data = snapshot.chosen_trial, snapshot.data
    run = nearest(snapshot.reached, snapshot.constraints) if chosen is None else chosen.run
    if run is None:
        return []
    at_best = run.at_best
    counts = dict(zip(data.get("classes", ()), data.get("val_counts", ()), strict=False))  # older studies lack them
    return [
        *from_few_images(at_best.val_accuracy, at_best.val_loss_se, data.get("val_size"), snapshot.rivals),
        *small_classes(counts),
    ]
