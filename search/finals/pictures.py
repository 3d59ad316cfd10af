"""Images of a data set as a report shows them: small, and with the names of their files."""

import numpy as np
from PIL import Image

from search.data.tensors import SearchData
from search.results.pictures import Pictures

MOST = 24  # images that a report shows of one kind
LARGEST_SIDE = 96  # pixels; larger ones are made smaller


def pictures_of(data: SearchData, indices: np.ndarray, places: np.ndarray) -> Pictures:
    """The images of `data` at `indices[places]`, both int64 (n,), for a report that knows them by `places`."""
    chosen = indices[places]
    pixels = np.load(data.images, mmap_mode="r")[chosen]
    return Pictures(places, _small(np.asarray(pixels)), np.array(data.names(chosen), np.str_))


def _small(images: np.ndarray) -> np.ndarray:
    """uint8 (m, c, h, w), no side longer than LARGEST_SIDE."""
    height, width = images.shape[2:]
    share = LARGEST_SIDE / max(height, width)
    if share >= 1 or not len(images):
        return images
    size = max(round(width * share), 1), max(round(height * share), 1)
    return np.stack(
        [
            np.stack([np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.BOX)) for channel in image])
            for image in images
        ]
    )
