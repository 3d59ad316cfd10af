"""Single images of a data set that a report shows, with what was found of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


def _none(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.uint8)


@dataclass(frozen=True)
class Pictures:
    """m images, small ones; none by default."""

    places: np.ndarray = field(default_factory=lambda: np.arange(0))  # int64 (m,): in what they are taken from
    pixels: np.ndarray = field(default_factory=lambda: _none(0, 1, 1, 1))  # uint8 (m, c, h, w), c of 1 or 3
    names: np.ndarray = field(
        default_factory=lambda: np.array([], np.str_)
    )  # (m,) of the files; "" where none is known

    def arrays(self) -> dict[str, Any]:
        """To be written beside others."""
        return {f"picture_{name}": array for name, array in vars(self).items()}

    @classmethod
    def among(cls, arrays: Mapping[str, np.ndarray], count: int) -> "Pictures":
        """Those that were written beside others, of `count` images; none where there are none of use."""
        try:
            places, pixels, names = (arrays[f"picture_{name}"] for name in ("places", "pixels", "names"))
        except (KeyError, ValueError):
            return cls()
        alike = len(places) == len(pixels) == len(names)
        sound = pixels.ndim == 4 and pixels.dtype == np.uint8 and pixels.shape[1] in (1, 3) and names.dtype.kind == "U"
        inside = alike and (len(places) == 0 or (places.min() >= 0 and places.max() < count))
        return cls(places, pixels, names) if sound and inside else cls()
