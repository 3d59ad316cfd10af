"""NePS, PriorBand: its prior is the default configuration, which this search tries first."""

import contextlib
import random
from pathlib import Path
from typing import Any

import neps
import numpy as np
import torch

from spaces import cnn
from studies.benchmarks.race.contenders.task import EPOCHS, Keeper, parse
from studies.benchmarks.race.contenders.training import LOG_SCALE, RANGES, Training

DEFAULT = cnn.start()[0]
SIZES = list(range(int(RANGES["kernel_size"][0]), int(RANGES["kernel_size"][1]) + 1, 2))


def axis(name: str) -> Any:  # noqa: ANN401
    """A parameter of the space, with its prior."""
    low, high = RANGES[name]
    kind: Any = neps.Integer if isinstance(low, int) else neps.Float
    return kind(low, high, log=name in LOG_SCALE, prior=DEFAULT[name], prior_confidence="medium")


class Space(neps.PipelineSpace):
    """The `cnn` space."""

    epochs = neps.IntegerFidelity(1, EPOCHS)
    depth = axis("depth")
    width = axis("width")
    kernel_size = neps.Categorical(SIZES, prior=SIZES.index(DEFAULT["kernel_size"]), prior_confidence="medium")
    dropout = axis("dropout")
    weight_decay = axis("weight_decay")
    batch_size = axis("batch_size")
    augmentation = axis("augmentation")
    learning_rate = axis("learning_rate")


def main() -> None:
    """Trials until the end."""
    task = parse()
    keeper, data = Keeper(task), task.data()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(task.seed)

    def evaluate(
        pipeline_directory: Path,
        previous_pipeline_directory: Path | None,
        epochs: int,
        **config: Any,  # noqa: ANN401
    ) -> float:
        training, done, lowest = Training(config, data, keeper), 0, float("inf")
        if previous_pipeline_directory is not None:
            with contextlib.suppress(FileNotFoundError):
                state = torch.load(previous_pipeline_directory / "state.pt", weights_only=True)
                training.model.load_state_dict(state["model"])
                training.optimizer.load_state_dict(state["optimizer"])
                done, lowest = state["epochs"], state["lowest"]
        for val_loss in training.epochs(epochs - done):
            lowest = min(lowest, val_loss)
        state = {"model": training.model.state_dict(), "optimizer": training.optimizer.state_dict()}
        torch.save(state | {"epochs": epochs, "lowest": lowest}, pipeline_directory / "state.pt")
        return lowest

    neps.run(
        evaluate_pipeline=evaluate,
        pipeline_space=Space(),
        root_directory=task.folder / "neps",
        optimizer="priorband",
        total_evaluations_to_spend=100_000,
    )


if __name__ == "__main__":
    main()
