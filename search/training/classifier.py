"""A trained network with all that belongs around it: pixels in, probabilities out."""

from collections.abc import Sequence

import numpy as np
import torch

from search.training.precision import Precision


class Classifier(torch.nn.Module):
    """Normalization, network, temperature and softmax in one, in float32 whatever the network was trained in.

    Calling it gives probabilities.

    network: kept as it is, but for its mode and layout: it is not to be trained any more.
    mean, std: of each channel, in units of [0, 1]. temperature: what the logits are divided by.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        network: torch.nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        temperature: float = 1.0,
        precision: Precision = Precision(),  # noqa: B008
    ) -> None:
        super().__init__()
        self.network = precision.place_model(network)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self.temperature = temperature
        self._precision = precision
        self.eval().requires_grad_(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images as most programs hold them, uint8 (n, height, width, channels) -> float32 (n, classes)."""
        return self.log_probabilities(images.permute(0, 3, 1, 2)).exp()

    def log_probabilities(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 (n, channels, height, width) -> float32 (n, classes)."""
        images = self._precision.place((pixels.float() / 255 - self.mean) / self.std)
        return torch.log_softmax(self.network(images).float() / self.temperature, dim=1)

    def log_probabilities_of(self, pixels: np.ndarray) -> np.ndarray:
        """As `log_probabilities`, for an array."""
        with torch.inference_mode():
            return self.log_probabilities(torch.from_numpy(pixels)).numpy()
