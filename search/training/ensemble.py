"""Several networks of one configuration as one, whose probabilities are averaged."""

import math
from collections.abc import Sequence

import torch


class Ensemble(torch.nn.Module):
    """Gives the logarithm of the mean probability of each class: logits, whose softmax is that mean.

    Lakshminarayanan, Pritzel and Blundell 2017, "Simple and scalable predictive uncertainty estimation using deep
    ensembles", Advances in Neural Information Processing Systems 30.

    networks: with logits (n, classes); they are not to be trained any more.
    """

    def __init__(self, networks: Sequence[torch.nn.Module]) -> None:
        super().__init__()
        self.networks = torch.nn.ModuleList(networks)
        self.eval().requires_grad_(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images as each of the networks takes them -> float32 (n, classes)."""
        return mean_logits([network(images) for network in self.networks])


def mean_logits(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """The logarithm of the mean of several softmaxes. logits: of each network, (n, classes)."""
    each = torch.stack([torch.log_softmax(one.float(), dim=1) for one in logits])
    return torch.logsumexp(each, dim=0) - math.log(len(logits))
