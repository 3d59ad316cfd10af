"""Keras Tuner on Keras with the torch backend, as their guides have it: arrays, augmentation layers, `fit`.

`fit` measures the validation images alone; a callback calls `evaluate` on the train probe.
"""

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import keras_tuner
import numpy as np
from keras import layers
from torchvision import datasets

from search.training import augment
from spaces.cnn import LARGEST_HEAD, SMALLEST_POOLED
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


def augmentation() -> list[layers.Layer]:
    """The ranges of search.training.augment at half their strength; Keras flips every second image or none."""
    return [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(STRENGTH * augment.ROTATION / (2 * np.pi), fill_mode="nearest"),
        layers.RandomTranslation(STRENGTH * augment.SHIFT, STRENGTH * augment.SHIFT, fill_mode="nearest"),
        layers.RandomZoom(STRENGTH * augment.ZOOM, fill_mode="nearest"),
        layers.RandomShear(STRENGTH * augment.SHEAR, STRENGTH * augment.SHEAR, fill_mode="nearest"),
        layers.RandomBrightness(STRENGTH * augment.BRIGHTNESS, value_range=(0, 1)),
        layers.RandomContrast(STRENGTH * augment.CONTRAST, value_range=(0, 1)),
        layers.RandomErasing(STRENGTH * augment.ERASE, scale=(0.02, 0.2), value_range=(0, 1)),
    ]


def build_model(hp: keras_tuner.HyperParameters, task: Task) -> keras.Model:
    """The layers of spaces.cnn, compiled."""
    dropout = hp.Float("dropout", *DROPOUT)
    shape, side = NETWORKS[task.network], 28
    model = keras.Sequential([keras.Input((side, side, 1)), layers.Rescaling(1 / 255)])
    for layer in augmentation() if task.augmentation else []:
        model.add(layer)
    model.add(layers.Normalization(mean=MEAN, variance=DEVIATION**2))
    filters = shape["width"]
    for _ in range(shape["depth"]):
        pooled = side >= SMALLEST_POOLED
        model.add(layers.Conv2D(filters, shape["kernel_size"], padding="same", use_bias=False))
        if pooled:
            model.add(layers.MaxPooling2D(2))
        model.add(layers.BatchNormalization(momentum=0.9, epsilon=1e-5))
        model.add(layers.ReLU())
        if pooled:
            model.add(layers.SpatialDropout2D(dropout))
            side, filters = side // 2, min(2 * filters, 4 * shape["width"])
    model.add(layers.AveragePooling2D(-(-side // LARGEST_HEAD)))
    model.add(layers.Flatten())
    model.add(layers.Dropout(dropout))
    model.add(layers.Dense(CLASSES))
    optimizer = keras.optimizers.AdamW(
        learning_rate=hp.Float("learning_rate", *LEARNING_RATE, sampling="log"),
        weight_decay=hp.Float("weight_decay", *WEIGHT_DECAY, sampling="log"),
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
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
