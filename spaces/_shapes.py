"""How the families bring images down to sizes that they can work on."""

from torch import nn

LARGEST_TRUNK = 64
DEEPEST = 1000


def checked_depth(depth: int) -> int:
    """`depth` as it is. Raises ValueError for one that would take for ever to build: a slip of the keyboard."""
    if depth > DEEPEST:
        raise ValueError(f"depth is {depth}; it must be at most {DEEPEST}")
    return depth


def stem_stride(image_size: tuple[int, int]) -> int:
    """The stride of the first convolution: doubled until the shorter side is at most 64."""
    stride = 1
    while min(image_size) > LARGEST_TRUNK * stride:
        stride *= 2
    return stride


def averaged(height: int, width: int, largest: int) -> tuple[nn.AvgPool2d, int, int]:
    """A layer that averages maps of (height, width) down to at most `largest` a side, and the size that it leaves.

    Its windows are fixed: adaptive pooling has no deterministic gradient on CUDA.
    """
    rows, columns = -(-height // largest), -(-width // largest)
    return nn.AvgPool2d((rows, columns)), height // rows, width // columns
