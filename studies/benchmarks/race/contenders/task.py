"""What every contender is told, and how it keeps what it would take home."""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search import Search
    from search.data.tensors import SearchData

EPOCHS = 20  # of a trial, at most
TRAIN_SIZE, VAL_SIZE = 4000, 2000


@dataclass(frozen=True)
class Task:
    """A search of `seconds` seconds, counted from `began`, the time at which its command was started."""

    dataset: str  # as `Search` names it
    data_root: Path
    seed: int
    seconds: float
    began: float  # seconds since the epoch
    cores: int
    folder: Path  # empty, for the files of a contender

    def arguments(self) -> list[str]:
        """The flags that `parse` reads as this task."""
        given = [(f"--{field.name.replace('_', '-')}", getattr(self, field.name)) for field in fields(self)]
        return [part for flag, value in given for part in (flag, repr(value) if flag == "--began" else str(value))]

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self.began + self.seconds - time.time()

    def search(self, **settings: object) -> "Search":
        """The search on these images; all contenders load them as it does."""
        from search import Search

        return Search(
            name="race",
            dataset=self.dataset,
            data_root=self.data_root,
            image_size=32 if self.dataset == "folder" else None,
            train_size=TRAIN_SIZE,
            val_size=VAL_SIZE,
            seed=self.seed,
            epochs=EPOCHS,
            device="cpu",
            **settings,  # type: ignore[arg-type]
        )

    def data(self) -> "SearchData":
        """Images and splits, the same for all."""
        from search.engine.launch import load_data

        return load_data(self.search())


def parse() -> Task:
    """The task of a contender's command line."""
    parser = argparse.ArgumentParser()
    for field in fields(Task):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, required=True)
    return Task(**vars(parser.parse_args()))


class Keeper:
    """Keeps the weights of each epoch that is the best of its process so far, with the seconds since the start.

    After the end the lowest validation loss that was kept by then is what a contender would have taken home.
    """

    def __init__(self, task: Task) -> None:
        self._task, self._lowest = task, float("inf")

    def offer(
        self, val_loss: float, train_loss: float, save: Callable[[Path], None], config: dict[str, object]
    ) -> None:
        """An epoch was measured: losses on the validation images and on the train probe, in nats."""
        if not val_loss < self._lowest:
            return
        self._lowest = val_loss
        name = f"{os.getpid()}-{time.time_ns()}"
        kept = self._task.folder / "kept"
        kept.mkdir(exist_ok=True)
        save(kept / f"{name}.weights")
        seconds = time.time() - self._task.began
        line = {"seconds": seconds, "val_loss": val_loss, "train_loss": train_loss, "config": config, "weights": name}
        partial = kept / f"{name}.part"
        partial.write_text(json.dumps(line))
        partial.rename(kept / f"{name}.json")
