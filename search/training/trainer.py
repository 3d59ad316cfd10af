"""One configuration -> one measurement per epoch.

Anytime training: a short warm-up, then a constant learning rate, and everything is measured on an
exponential moving average of the weights. So an epoch's loss says what the run is worth at that epoch,
which a decaying schedule would hide until its end.
"""

import copy
import functools
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from search.data.tensors import DeviceData
from search.measurement import PerImage
from search.networks import Build, build_network
from search.training.augment import augment
from search.training.cuda_graph import GraphedStep, Input, Step, graphed
from search.training.evaluate import evaluate
from search.training.features import features_of
from search.training.precision import Precision
from search.training.pretrained import frozen_body, head, learning_rate_share, load_pretrained
from search.training.recipe import Recipe

AVERAGED_EPOCHS = 1.5  # horizon of the moving average
WARM_UP_EPOCHS = 1.0


class Interrupted(Exception):
    """Training was told to stop between two batches."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch measured, on the train probe and on the validation split, with averaged weights."""

    train: PerImage
    val: PerImage
    seconds: float


class Trainer:
    """A network in training.

    config: a `Recipe` is read from it here, the rest by `build(config, channels=, image_size=, classes=)`.
    seed: of the initial weights, dropout, shuffling and augmentation.
    interrupted: asked before each batch, measured ones too; `Interrupted` is raised once it answers true.

    What a network may offer besides is in `search.training.pretrained`. Raises UserError where it has pretrained
    weights that cannot be had.
    """

    def __init__(
        self,
        build: Build,
        config: Mapping[str, Any],
        data: DeviceData,
        *,
        seed: int,
        precision: Precision,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        device = data.images.device
        self._recipe = recipe = Recipe.of(config)
        torch.manual_seed(seed)
        _, channels, height, width = data.images.shape
        model = build_network(build, config, (channels, height, width), data.classes).to(device)
        load_pretrained(model, data)
        self.model = precision.place_model(model).train()
        self.averaged = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.data, self.precision, self._interrupted = data, precision, interrupted
        # what is trained and measured, on what: the head alone, on features, where nothing before it ever changes
        self._trained, self._measured, self._seen = self.model, self.averaged, data
        if recipe.augmentation == 0 and (body := frozen_body(self.averaged)) is not None:
            self._seen = features_of(body, data, precision, self._require_going_on)
            self._trained, self._measured = head(self.model), head(self.averaged)
        self._generator = torch.Generator(device).manual_seed(seed)
        # a fixed number of images in each step, within a step's worth of all: none is left over for a last, small batch
        images = len(data.train)
        fewest = min(recipe.batch_size, 2)  # of one image batch normalization knows no variance: only where asked for
        self.steps = max(1, min(round(images / recipe.batch_size), images // fewest))
        self._batch = images // self.steps
        self._step = 0
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.model, recipe.weight_decay), lr=recipe.learning_rate, fused=True
        )
        self._update = self._graphed()

    def epoch(self) -> Epoch:
        """Train one epoch and measure it."""
        started, data, go_on = time.perf_counter(), self._seen, self._require_going_on
        self.train_epoch()
        train = evaluate(self._measured, data, data.probe, self.precision, go_on=go_on)
        val = evaluate(self._measured, data, data.val, self.precision, go_on=go_on)
        return Epoch(train, val, time.perf_counter() - started)

    def train_epoch(self) -> None:
        """Train one epoch, and measure nothing."""
        data = self._seen
        order = data.train[torch.randperm(len(data.train), generator=self._generator, device=data.train.device)]
        for step in range(self.steps):
            self._require_going_on()
            self._train_step(order[step * self._batch : (step + 1) * self._batch])

    @property
    def uncaptured(self) -> str | None:
        """Why the steps go on plainly where they could have been replayed from a CUDA graph."""
        return self._update.failure if isinstance(self._update, GraphedStep) else None

    def schedule(self, step: int) -> float:
        """The share of the learning rate at a step (from 0): a warm-up, then all of it."""
        return min(1.0, (step + 1) / (WARM_UP_EPOCHS * self.steps))

    def weights(self) -> dict[str, torch.Tensor]:
        """A copy of the averaged weights on the CPU: what was measured, and what is exported."""
        return {
            name: value.detach().to("cpu", copy=True).contiguous() for name, value in self.averaged.state_dict().items()
        }

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to go on as if never interrupted, to the last digit."""
        device = self.data.images.device
        return {
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self._step,
            "generator": self._generator.get_state(),
            "rng": torch.get_rng_state(),
            "device_rng": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._update = self._graphed()  # a graph would go on with the optimizer's tensors of before
        self._step = state["step"]
        self._generator.set_state(state["generator"].cpu())
        torch.set_rng_state(state["rng"].cpu())
        if state["device_rng"] is not None:
            torch.cuda.set_rng_state(state["device_rng"].cpu(), self.data.images.device)

    def _require_going_on(self) -> None:
        """Raises Interrupted where training is to end."""
        if self._interrupted():
            raise Interrupted

    def _train_step(self, indices: torch.Tensor) -> None:
        # early on the horizon is a ninth of the steps so far, so that the first epochs are not dragged down by
        # where training began
        weight = max(1 / (AVERAGED_EPOCHS * self.steps), 9 / (10 + self._step))
        self._update(indices, self._recipe.learning_rate * self.schedule(self._step), min(weight, 1.0))
        self._step += 1

    def _graphed(self) -> Step:
        # a bound method would close a circle: an ended training would keep its memory until the collector looks
        update = functools.partial(Trainer._plain_update, weakref.proxy(self))
        return graphed(update, self.data.images.device, [self._generator])

    def _plain_update(self, indices: torch.Tensor, lr: Input, weight: Input) -> None:
        """One step on the images at `indices`; `weight` is that of the new weights in the average."""
        data = self._seen
        pixels = augment(data.pixels(indices), self._recipe.augmentation, flip=data.flip, generator=self._generator)
        images = self.precision.place(data.normalize(pixels))
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group.get("share", 1.0)  # a checkpoint of an older release has none
            group["capturable"] = images.is_cuda and torch.cuda.is_current_stream_capturing()
        with self.precision.autocast(images.device.type):
            logits = self._trained(images)
        loss = batch_loss(logits.float(), data.labels[indices], data.class_weights)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self._average(weight)

    @torch.no_grad()
    def _average(self, weight: Input) -> None:
        """Move the averaged weights and batch-norm buffers towards the present ones; what is not trained stays."""
        for mine, now in zip(_tensors(self.averaged), _tensors(self.model), strict=True):
            if isinstance(now, torch.nn.Parameter) and not now.requires_grad:
                continue
            if mine.is_floating_point():
                mine.lerp_(now, weight.to(mine.dtype) if isinstance(weight, torch.Tensor) else weight)
            else:
                mine.copy_(now)


def batch_loss(logits: torch.Tensor, labels: torch.Tensor, class_weights: torch.Tensor | None) -> torch.Tensor:
    """Mean cross-entropy of a batch, in nats, each image weighed as its class is.

    Divided by the number of images: so the mean over all batches is the weighted mean, whatever classes fall together.
    """
    if class_weights is None:
        return F.cross_entropy(logits, labels)
    return F.cross_entropy(logits, labels, weight=class_weights, reduction="sum") / len(labels)


def parameter_groups(model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """AdamW's groups: weight decay for matrices and kernels, none for biases and normalization.

    Each with its `share` of the learning rate: one pair of groups for each share that the network asks for.
    """
    by_share: dict[float, tuple[list[torch.Tensor], list[torch.Tensor]]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decayed, spared = by_share.setdefault(learning_rate_share(model, name), ([], []))
            (decayed if parameter.ndim > 1 else spared).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, "share": share}
        for share, (decayed, spared) in by_share.items()
        for parameters, decay in ((decayed, weight_decay), (spared, 0.0))
    ]


def _tensors(model: torch.nn.Module) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]
