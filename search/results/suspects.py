"""Images whose labels look wrong, kept in the run folder for reports: `predictions/labels.npz`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search.results.npz import read_arrays, write_arrays
from search.results.pictures import Pictures


@dataclass(frozen=True)
class Suspects:
    """n images, the most suspicious first."""

    weights_sha256: str  # of the best.pt whose images they are, as best.yaml names it
    images: np.ndarray  # int64 (n,): their places in the part of the data set that they are from
    labels: np.ndarray  # int64 (n,)
    suggested: np.ndarray  # int64 (n,): the class that most networks take them for
    losses: np.ndarray  # float64 (n,): mean cross-entropy of networks that did not train on them, in nats
    wrong: np.ndarray  # int64 (n,): networks that take them for another class than their label
    networks: int  # how many have judged each
    examined: int  # images among which they were found
    pictures: Pictures  # of the first ones


ARRAYS = ("images", "labels", "suggested", "losses", "wrong", "networks", "examined")


def save(folder: Path, suspects: Suspects) -> None:
    """Write them into the run folder. Raises OSError where that fails."""
    arrays = {name: np.asarray(getattr(suspects, name)) for name in ("weights_sha256", *ARRAYS)}
    write_arrays(_path(folder), arrays | suspects.pictures.arrays())


def read(folder: Path, weights_sha256: str | None) -> Suspects | None:
    """Those among the images of that best.pt; None where there are none that can be read."""
    arrays = read_arrays(_path(folder))
    try:
        *of_images, networks, examined = (arrays[name] for name in ARRAYS)
        sha256, pictures = str(arrays["weights_sha256"]), Pictures.among(arrays, len(of_images[0]))
        images, labels, suggested, losses, wrong = of_images
        found = Suspects(sha256, images, labels, suggested, losses, wrong, int(networks), int(examined), pictures)
        sound = all(len(array) == len(images) for array in of_images)
    except (KeyError, ValueError, TypeError):
        return None
    return found if sound and sha256 == (weights_sha256 or "") else None


def _path(folder: Path) -> Path:
    return folder / "predictions" / "labels.npz"
