"""Several networks as one."""

import numpy as np
import pytest
import torch

from search.training.ensemble import Ensemble, mean_logits


class Says(torch.nn.Module):
    """The same logits for each image."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.tensor(logits))

    def forward(self, images):
        assert not self.training
        return self.logits.expand(len(images), -1)


def test_probabilities_are_averaged_and_not_logits():
    """9:1 and 1:1 are 0.7:0.3 on average; by their logits it would be 3:1."""
    together = Ensemble([Says(float(np.log(9)), 0.0).train(), Says(5.0, 5.0)])
    out = together(torch.zeros(3, 1, 8, 8))
    assert out.exp() == pytest.approx(torch.tensor([[0.7, 0.3]]).expand(3, 2))
    assert torch.softmax(out, dim=1) == pytest.approx(out.exp())
    assert not any(parameter.requires_grad for parameter in together.parameters())


def test_one_that_is_sure_and_wrong_does_not_overflow():
    found = mean_logits([torch.tensor([[300.0, -300.0]]), torch.tensor([[-300.0, 300.0]])])
    assert found == pytest.approx(torch.log(torch.tensor([[0.5, 0.5]])))
