"""What a network may offer to training besides its forward: weights to begin with, and parts that are not trained."""

from typing import Protocol, runtime_checkable

import torch

from search.data.tensors import DeviceData
from search.errors import UserError


@runtime_checkable
class Pretrained(Protocol):
    """A network `head(body(images))` that begins with the weights of an earlier training.

    Parameters that do not require a gradient are not trained. The rest is up to the network: one that keeps layers in
    eval mode does so in its `train`.
    """

    head: torch.nn.Module

    def load_pretrained(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Load these weights; called once, before it is trained from the start.

        mean, std: (1, channels, 1, 1), what images are normalized by; pixels are in [0, 1]. Raises OSError or
        ValueError that says in one line why it cannot, and what to do.
        """

    def learning_rate_share(self, name: str) -> float:
        """The learning rate of the parameter of that name, as a share of the configuration's."""

    def frozen_body(self) -> torch.nn.Module | None:
        """The part before `head` where nothing of it is trained and eval mode is its only one; None where some is.

        images -> features (n, width).
        """


def load_pretrained(model: torch.nn.Module, data: DeviceData) -> None:
    """Have a network that offers it begin with its pretrained weights. Raises UserError where they cannot be had."""
    if isinstance(model, Pretrained):
        try:
            model.load_pretrained(data.mean, data.std)
        except (OSError, ValueError) as error:
            raise UserError(str(error)) from error


def learning_rate_share(model: torch.nn.Module, name: str) -> float:
    """Of the parameter of that name; 1 where the network does not say."""
    return model.learning_rate_share(name) if isinstance(model, Pretrained) else 1.0


def frozen_body(model: torch.nn.Module) -> torch.nn.Module | None:
    """The part of a network that gives the same features for an image all along; None where there is none."""
    return model.frozen_body() if isinstance(model, Pretrained) else None


def head(model: torch.nn.Module) -> torch.nn.Module:
    """What follows the frozen body of a network that has one."""
    assert isinstance(model, Pretrained)
    return model.head
