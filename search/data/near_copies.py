"""Images that are copies of each other though their files differ: saved at another size, quality or format.

Each image is compared by its central square at 16x16 pixels. Two are copies where these differ by no more than scaling
and compression do (see the constants), and by far less than from other images of the folder. So the aligned images of
one camera, which all look alike, are no copies of each other. One that is mirrored, turned, cropped or recoloured is
not found; nor one that is saved anew more than `NEIGHBOURS - 1` times, which looks like the images of one camera.
"""

import numpy as np
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

SIDE = 16  # pixels of the squares that are compared
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
COARSE = [(row, column) for row in range(4) for column in range(4) if row + column <= 3]  # frequencies that find pairs
# 99.4% of 2,350 copies of CIFAR-10 images are found so: 20 to 96 pixels wide, JPEG of quality 30 to 90, WebP or PNG.
FARTHEST = 2.5  # root mean square of what the coarse frequencies differ by, in grey levels
RESIDUAL = 0.25  # of what the grey pixels differ by, as a share of the image's own deviation
COLOURS = 8.0  # of what the colours of 4x4 squares differ by, in levels
LEAST_DEVIATION = 5.0  # grey levels: an image without structure is like any other
NEIGHBOURS = 6  # copies of an image are sought among so many, and it is compared with the last of them
CLOSER = 0.35  # than that one a copy must be, in coarse frequencies, at most by this factor


def near_copies(squares: np.ndarray) -> list[list[int]]:
    """The numbers of images that are copies, ascending, one list for each image that is there more than once.

    squares: uint8 (n, 3, SIDE, SIDE).
    """
    grey = np.einsum("nchw,c->nhw", squares.astype(np.float32), LUMA)
    pairs = _close_pairs(grey)
    pairs = pairs[_alike(grey, pairs) & _of_one_colour(squares, pairs)]
    if not len(pairs):
        return []
    links = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(squares), len(squares)))
    groups: dict[int, list[int]] = {}
    for number, group in enumerate(connected_components(links, directed=False)[1].tolist()):
        groups.setdefault(group, []).append(number)
    return [group for group in groups.values() if len(group) > 1]


def _close_pairs(grey: np.ndarray) -> np.ndarray:
    """Pairs of images much closer to each other than to others, int64 (k, 2). grey: float32 (n, SIDE, SIDE)."""
    structured = np.flatnonzero(grey.std(axis=(1, 2)) >= LEAST_DEVIATION)
    if len(structured) < 2:
        return np.empty((0, 2), np.int64)
    frequencies = dctn(grey[structured], axes=(1, 2), norm="ortho")
    coarse = np.stack([frequencies[:, row, column] for row, column in COARSE], axis=1) / SIDE
    tree = cKDTree(coarse)
    nearest = tree.query(coarse, k=2, distance_upper_bound=FARTHEST)[0][:, 1]
    candidates = np.flatnonzero(np.isfinite(nearest))
    if not len(candidates):
        return np.empty((0, 2), np.int64)
    distances, others = tree.query(coarse[candidates], k=min(NEIGHBOURS + 1, len(coarse)))
    close = (distances <= np.minimum(FARTHEST, CLOSER * distances[:, -1:])) & (others != candidates[:, None])
    rows, columns = np.nonzero(close)
    return structured[np.stack([candidates[rows], others[rows, columns]], axis=1)]


def _alike(grey: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Whether the grey pixels of each pair are the same but for scaling and compression, bool (k,)."""
    one, other = grey[pairs[:, 0]], grey[pairs[:, 1]]
    deviation = np.minimum(one.std(axis=(1, 2)), other.std(axis=(1, 2)))
    return np.sqrt(((one - other) ** 2).mean(axis=(1, 2))) <= RESIDUAL * deviation


def _of_one_colour(squares: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Whether the colours of each pair are the same, bool (k,)."""
    one, other = (
        squares[part].astype(np.float32).reshape(-1, 3, 4, SIDE // 4, 4, SIDE // 4).mean(axis=(3, 5))
        for part in pairs.T
    )
    return np.sqrt(((one - other) ** 2).mean(axis=(1, 2, 3))) <= COLOURS
