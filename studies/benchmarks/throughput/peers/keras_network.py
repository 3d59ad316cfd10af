"""The networks of spaces.cnn and the augmentation of search.training.augment in Keras, on the torch backend."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
from keras import layers

from search.training import augment
from spaces.cnn import LARGEST_HEAD, SMALLEST_POOLED


def network(
    config: Mapping[str, Any],
    *,
    shape: tuple[int, int, int],
    classes: int,
    mean: Sequence[float],
    variance: Sequence[float],
    strength: float,
    flip: bool,
) -> keras.Model:
    """Square images of `shape` (height, width, channels), values from 0 to 255 -> logits.

    mean and variance: of each channel, in units of [0, 1]. strength: of the augmentation, from 0 to 1.
    """
    side, filters = shape[0], config["width"]
    model = keras.Sequential([keras.Input(shape), layers.Rescaling(1 / 255)])
    for layer in _augmentation(strength, flip) if strength else []:
        model.add(layer)
    model.add(layers.Normalization(mean=mean, variance=variance))
    for _ in range(config["depth"]):
        pooled = side >= SMALLEST_POOLED
        model.add(layers.Conv2D(filters, config["kernel_size"], padding="same", use_bias=False))
        if pooled:
            model.add(layers.MaxPooling2D(2))
        model.add(layers.BatchNormalization(momentum=0.9, epsilon=1e-5))
        model.add(layers.ReLU())
        if pooled:
            model.add(layers.SpatialDropout2D(config["dropout"]))
            side, filters = side // 2, min(2 * filters, 4 * config["width"])
    model.add(layers.AveragePooling2D(-(-side // LARGEST_HEAD)))
    model.add(layers.Flatten())
    model.add(layers.Dropout(config["dropout"]))
    model.add(layers.Dense(classes))
    return model


def compile_model(model: keras.Model, learning_rate: float, weight_decay: float) -> None:
    """AdamW and cross-entropy."""
    optimizer = keras.optimizers.AdamW(learning_rate=learning_rate, weight_decay=weight_decay)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])


def _augmentation(strength: float, flip: bool) -> list[layers.Layer]:
    """The ranges of search.training.augment times `strength`; Keras flips every second image or none."""
    return [
        *([layers.RandomFlip("horizontal")] if flip else []),
        layers.RandomRotation(strength * augment.ROTATION / (2 * np.pi), fill_mode="nearest"),
        layers.RandomTranslation(strength * augment.SHIFT, strength * augment.SHIFT, fill_mode="nearest"),
        layers.RandomZoom(strength * augment.ZOOM, fill_mode="nearest"),
        layers.RandomShear(strength * augment.SHEAR, strength * augment.SHEAR, fill_mode="nearest"),
        layers.RandomBrightness(strength * augment.BRIGHTNESS, value_range=(0, 1)),
        layers.RandomContrast(strength * augment.CONTRAST, value_range=(0, 1)),
        layers.RandomErasing(strength * augment.ERASE, scale=(0.02, 0.2), value_range=(0, 1)),
    ]
