"""Keras Tuner on Keras with the torch backend, as their guides have it: arrays, augmentation layers, `fit`.

`fit` measures the validation images alone; a callback calls `evaluate` on the train probe.
"""

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import keras_tuner
import numpy as np
from torchvision import datasets

from studies.benchmarks.throughput.peers.keras_network import compile_model, network
from studies.benchmarks.throughput.peers.task import (
    BATCH_SIZE,
    CLASSES,
    DEVIATION,
    DROPOUT,
    LEARNING_RATE,
    MEAN,
    NETWORKS,
    STRENGTH,
    WEIGHT_DECAY,
    Report,
    Task,
    parse,
    split,
)

accuracies: list[float] = []
epochs_trained: list[int] = []


def build_model(hp: keras_tuner.HyperParameters, task: Task) -> keras.Model:
    """The layers of spaces.cnn, compiled."""
    strength = STRENGTH if task.augmentation else 0.0
    model = network(
        NETWORKS[task.network] | {"dropout": hp.Float("dropout", *DROPOUT)},
        shape=(28, 28, 1), classes=CLASSES, mean=[MEAN], variance=[DEVIATION**2], strength=strength, flip=True,
    )  # fmt: skip
    compile_model(
        model,
        learning_rate=hp.Float("learning_rate", *LEARNING_RATE, sampling="log"),
        weight_decay=hp.Float("weight_decay", *WEIGHT_DECAY, sampling="log"),
    )
    return model


class Probe(keras.callbacks.Callback):
    """Measure the train probe after each epoch."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        super().__init__()
        self.images, self.labels = images, labels

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        logs["train_loss"], _ = self.model.evaluate(self.images, self.labels, batch_size=BATCH_SIZE, verbose=0)
        self.epochs, self.accuracy = epoch + 1, logs["val_accuracy"]

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        epochs_trained.append(self.epochs)
        accuracies.append(self.accuracy)


def main() -> None:
    """All trials, one after the other."""
    task = parse()
    report = Report()
    dataset = datasets.FashionMNIST(str(task.data_root), train=True)
    images, labels = dataset.data.numpy()[..., None], dataset.targets.numpy()
    indices = split(labels, task)
    tuner = keras_tuner.RandomSearch(
        lambda hp: build_model(hp, task),
        objective="val_loss",
        max_trials=task.trials,
        directory=str(task.folder),
        project_name="throughput",
    )
    tuner.search(
        images[indices.train],
        labels[indices.train],
        batch_size=BATCH_SIZE,
        epochs=task.epochs,
        validation_data=(images[indices.val], labels[indices.val]),
        callbacks=[Probe(images[indices.probe], labels[indices.probe])],
        verbose=0,
    )
    report.write(epochs_trained, accuracies)


if __name__ == "__main__":
    main()
