"""Keras Tuner, Hyperband, on the torch backend: arrays, augmentation layers, `fit`."""

import os
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import keras_tuner
import numpy as np

from search.data.tensors import SearchData
from studies.benchmarks.race.contenders.task import EPOCHS, Keeper, parse
from studies.benchmarks.race.contenders.training import LOG_SCALE, RANGES
from studies.benchmarks.throughput.peers.keras_network import compile_model, network

Part = tuple[np.ndarray, np.ndarray]


class Model(keras_tuner.HyperModel):
    """The `cnn` space."""

    def __init__(self, data: SearchData) -> None:
        super().__init__()
        self._data = data

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """A compiled network."""
        config: dict[str, Any] = {}
        for name, (low, high) in RANGES.items():
            draw = hp.Int if isinstance(low, int) else hp.Float
            sampling = "log" if name in LOG_SCALE else "linear"
            step = {"step": 2} if name == "kernel_size" else {}
            config[name] = draw(name, low, high, sampling=sampling, **step)
        channels, height, width = self._data.shape
        model = network(
            config, shape=(height, width, channels), classes=len(self._data.classes), mean=self._data.mean,
            variance=[value**2 for value in self._data.std], strength=config["augmentation"], flip=self._data.flip,
        )  # fmt: skip
        compile_model(model, config["learning_rate"], config["weight_decay"])
        return model

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *parts: Any, **options: Any) -> Any:  # noqa: ANN401
        """Train one trial."""
        return model.fit(*parts, batch_size=hp.get("batch_size"), **options)


class Best(keras.callbacks.Callback):
    """Keeps each epoch that is the best so far."""

    def __init__(self, keeper: Keeper, probe: Part) -> None:
        super().__init__()
        self._keeper, self._probe, self._lowest = keeper, probe, float("inf")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Measure the train probe where the validation loss is a new low."""
        if logs["val_loss"] < self._lowest:
            self._lowest = logs["val_loss"]
            train_loss, _ = self.model.evaluate(*self._probe, batch_size=128, verbose=0)
            self._keeper.offer(logs["val_loss"], train_loss, self._save, {})

    def __deepcopy__(self, memo: object) -> "Best":
        return self  # the tuner copies callbacks for each trial; the lowest loss is that of all

    def _save(self, path: Path) -> None:
        """Without the augmentation, which measuring needs not and Keras 3.15 cannot read again."""
        layers = [layer for layer in self.model.layers if not layer.name.startswith("random_")]
        keras.Sequential([keras.Input(self.model.input_shape[1:]), *layers]).save(path.with_suffix(".keras"))


def main() -> None:
    """Trials until the process is ended."""
    task = parse()
    data = task.data()
    images = np.load(data.images, mmap_mode="r")

    def part(indices: np.ndarray) -> Part:
        return np.ascontiguousarray(images[indices].transpose(0, 2, 3, 1)), data.labels[indices]

    while True:  # one Hyperband after another
        tuner = keras_tuner.Hyperband(
            Model(data), objective="val_loss", max_epochs=EPOCHS, seed=task.seed, directory=str(task.folder),
            project_name="race", overwrite=True,
        )  # fmt: skip
        tuner.search(
            *part(data.splits.train), validation_data=part(data.splits.val), verbose=0,
            callbacks=[Best(Keeper(task), part(data.splits.probe))],
        )  # fmt: skip


if __name__ == "__main__":
    main()
