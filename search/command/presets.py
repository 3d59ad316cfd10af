"""The searches that come along, one for each data set: what the scripts in studies/ and `gapsearch run` start with."""

import os
from pathlib import Path
from typing import Any

from search.errors import UserError, one_line
from search.settings import FOLDER

PRESETS: dict[str, dict[str, Any]] = {
    "digits": {
        "name": "digits",
        "dataset": "digits",
        "trials": 60,
        "epochs": 20,
        "ranges": {"width": (8, 32), "depth": (2, 4)},
    },
    "fashion_mnist": {"name": "fashion_mnist", "dataset": "FashionMNIST", "trials": 60, "epochs": 30},
    "mnist": {"name": "mnist", "dataset": "MNIST", "trials": 60, "epochs": 30},
    "kmnist": {"name": "kmnist", "dataset": "KMNIST", "trials": 60, "epochs": 30},
    "cifar10": {"name": "cifar10", "dataset": "CIFAR10", "trials": 60, "epochs": 30},
    "cifar100": {"name": "cifar100", "dataset": "CIFAR100", "trials": 60, "epochs": 30},
    "svhn": {"name": "svhn", "dataset": "SVHN", "trials": 60, "epochs": 30},
    FOLDER: {"name": FOLDER, "dataset": FOLDER, "trials": 60, "epochs": 30},
}
BY_DATASET = {study["dataset"]: study for study in PRESETS.values() if study["dataset"] != FOLDER}


def preset(dataset: str) -> dict[str, Any]:
    """The settings to start with on a data set, or on a folder of images, which gives the study its name.

    Capitals, `-` and `_` in the name of a data set do not matter. Where a folder has such a name too, the data set
    is meant, and `./digits` is the folder.

    Raises UserError for what is neither.
    """
    for name, study in BY_DATASET.items():
        if _bare(name) == _bare(dataset):
            return study
    dataset = os.path.expanduser(dataset)
    if os.path.isdir(dataset):
        return PRESETS[FOLDER] | {"name": named_after(Path(dataset)), "data_root": Path(dataset)}
    raise UserError(f"{dataset!r} is neither a folder nor a data set; the data sets are {', '.join(BY_DATASET)}")


def named_after(folder: Path) -> str:
    """The name of the study on a folder of images: that of a link, not of where it leads."""
    return one_line(Path(os.path.abspath(folder)).name) or FOLDER


def _bare(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
