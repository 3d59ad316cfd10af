"""Can a network overfit at all? One that cannot memorize 20 images has too little capacity, or a fault."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from search.data.tensors import DeviceData
from search.networks import Build
from search.training.precision import Precision
from search.training.trainer import Trainer

IMAGES = 20
MOST_STEPS = 300
LOOKED_AT = 2_000  # images, of which those are drawn
UNREGULARIZED = {"weight_decay": 0.0, "augmentation": 0.0, "batch_size": IMAGES}


@dataclass(frozen=True)
class Memorized:
    """How far a network came on a few images."""

    steps: int  # until all were right, or as many as were allowed
    accuracy: float  # the last one, in eval mode
    loss: float  # likewise, in nats

    @property
    def all_right(self) -> bool:
        """Whether it has memorized them."""
        return self.accuracy == 1.0


def memorize(build: Build, config: Mapping[str, Any], data: DeviceData, seed: int) -> Memorized:
    """Train on the train split of `data` alone, all of it in each step, until every image is right in eval mode.

    Without regularization: no dropout, no weight decay, images not augmented.
    """
    data = replace(data, probe=data.train, val=data.train)
    trainer = Trainer(build, {**config, **UNREGULARIZED}, data, seed=seed, precision=Precision())
    for module in trainer.model.modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.p = 0.0
    for step in range(MOST_STEPS):
        epoch = trainer.epoch()
        found = Memorized(step + 1, float(epoch.train.correct.mean()), float(epoch.train.losses.mean()))
        if found.all_right or not np.isfinite(found.loss):
            break
    return found


def few_images(data: DeviceData, seed: int) -> DeviceData:
    """`data` with at most `IMAGES` images to train on, all different, and as many of each class as can be.

    seed: of the images drawn.
    """
    order = np.random.default_rng(seed).permutation(data.train.cpu().numpy())[:LOOKED_AT]
    different = {data.images[index].cpu().numpy().tobytes(): int(index) for index in order}
    of_class = dict.fromkeys(range(data.classes), 0)
    ranked = []
    for index in different.values():
        label = int(data.labels[index])
        ranked.append((of_class[label], index))
        of_class[label] += 1
    chosen = [index for _, index in sorted(ranked)[:IMAGES]]
    return replace(data, train=torch.tensor(chosen, device=data.train.device))


def with_random_labels(data: DeviceData, seed: int) -> DeviceData:
    """`data` with labels for its train split that say nothing of the images: each class drawn alike."""
    labels = data.labels.clone()
    drawn = torch.randint(data.classes, (len(data.train),), generator=torch.Generator().manual_seed(seed))
    labels[data.train] = drawn.to(labels.device)
    return replace(data, labels=labels)
