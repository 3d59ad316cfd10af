"""The contenders of the throughput benchmark, and the rounds in which they train."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Contender:
    """A script in peers/, and its row in the tables."""

    name: str
    label: str
    script: str
    needs: tuple[str, ...] = ()  # modules that have to be installed
    bf16: bool = False
    per_core: bool = False  # started once per core; these processes share the trials


OURS, OURS_BF16 = "ours", "ours bf16"
CONTENDERS = (
    Contender("optuna", "(a) Optuna, DataLoader, torchvision transforms", "optuna_script"),
    Contender("optuna per core", "(a) the same, one process per core", "optuna_script", per_core=True),
    Contender("lightning", "(b) Optuna with Lightning", "optuna_lightning", ("lightning", "optuna_integration")),
    Contender("ray", "(c) Ray Tune, no scheduler", "ray_tune", ("ray", "tensorboardX")),
    Contender("keras", "(d) Keras Tuner, torch backend", "keras_tuner_search", ("keras", "keras_tuner")),
    Contender("bare", "(e) bare loop", "bare_loop"),
    Contender("bare bf16", "(e) bare loop, bf16", "bare_loop", bf16=True),
    Contender(OURS, "this search", "ours"),
    Contender(OURS_BF16, "this search, bf16", "ours", bf16=True),
)
ALL = tuple(contender.name for contender in CONTENDERS)
LONGER = ("optuna", "bare", "bare bf16", OURS, OURS_BF16)


@dataclass(frozen=True)
class Round:
    """The contenders of a round, and how much each of them trains."""

    name: str
    contenders: tuple[str, ...]
    trials: Mapping[str, int]  # by network
    epochs: int
    augmentations: tuple[bool, ...]


ROUNDS = (
    Round("short", ALL, {"small": 16, "medium-sized": 8}, 4, (False, True)),
    Round("longer", LONGER, {"small": 48, "medium-sized": 24}, 10, (False,)),
)


def available(names: Sequence[str]) -> list[Contender]:
    """The contenders of these names whose packages are installed. Prints which ones are left out."""
    found = []
    for contender in CONTENDERS:
        if contender.name not in names:
            continue
        missing = [module for module in contender.needs if importlib.util.find_spec(module) is None]
        if missing:
            print(f"left out: {contender.name}, because {', '.join(missing)} is missing (pip install -e '.[bench]')")
        else:
            found.append(contender)
    return found
