"""What the families share."""

from torch import nn


def averaged(height: int, width: int, largest: int) -> tuple[nn.AvgPool2d, int, int]:
    """A layer that averages maps of (height, width) down to at most `largest` a side, and the size that it leaves.

    Its windows are fixed: adaptive pooling has no deterministic gradient on CUDA.
    """
    rows, columns = -(-height // largest), -(-width // largest)
    return nn.AvgPool2d((rows, columns)), height // rows, width // columns
