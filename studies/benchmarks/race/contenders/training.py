"""The training loop of the contenders on PyTorch: what a careful user writes.

All images are in memory, whole batches are augmented at once, the learning rate is constant, every epoch is measured in
eval mode, and the best one is kept. It is far faster than a DataLoader with a transform for each image.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from search.data.tensors import DeviceData, SearchData
from search.training.augment import augment
from search.training.evaluate import evaluate
from search.training.precision import Precision
from spaces import cnn
from spaces._ranges import Ranges
from studies.benchmarks.race.contenders.task import Keeper

PLAIN = Precision(bf16=False, channels_last=False)
LOG_SCALE = ("width", "weight_decay", "batch_size", "learning_rate")
RANGES: dict[str, tuple[float, float]] = vars(Ranges())


def network(config: Mapping[str, Any], data: SearchData) -> torch.nn.Module:
    """The network of a configuration."""
    channels, height, width = data.shape
    return cnn.build(config, channels=channels, image_size=(height, width), classes=len(data.classes))


class Training:
    """One configuration in training."""

    def __init__(self, config: dict[str, Any], data: SearchData, keeper: Keeper) -> None:
        torch.set_num_threads(1)
        self.config, self._keeper = config, keeper
        self._data: DeviceData = data.to(torch.device("cpu"))
        self.model = network(config, data)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config["learning_rate"], weight_decay=config["weight_decay"]
        )

    def epochs(self, count: int) -> Iterator[float]:
        """Train that many; the validation loss after each."""
        for _ in range(count):
            self._train()
            train, val = (evaluate(self.model, self._data, part, PLAIN) for part in (self._data.probe, self._data.val))
            val_loss, train_loss = float(val.losses.mean()), float(train.losses.mean())
            self._keeper.offer(val_loss, train_loss, self._save, self.config)
            yield val_loss

    def _train(self) -> None:
        data = self._data
        self.model.train()
        for indices in data.train[torch.randperm(len(data.train))].split(self.config["batch_size"]):
            if len(indices) == 1:  # of which batch norm can make nothing
                continue
            images = data.normalize(augment(data.pixels(indices), self.config["augmentation"], flip=data.flip))
            loss = F.cross_entropy(self.model(images), data.labels[indices])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def _save(self, path: Path) -> None:
        torch.save(self.model.state_dict(), path)
