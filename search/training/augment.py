"""One strength in [0, 1] -> a batch of images, each augmented by its own draw.

At strength s every range below is multiplied by s, so 0 is the identity and 1 about what hand-written
recipes use at their strongest: rotation by 30 degrees; shift, zoom and shear by 0.2.
"""

import math

import torch
import torch.nn.functional as F

ROTATION = math.radians(30)
SHIFT = 0.2  # share of the image's side
ZOOM = 0.2
SHEAR = 0.2
BRIGHTNESS = 0.2  # of the range from black to white
CONTRAST = 0.4
FLIP = 0.5  # probability
ERASE = 0.5  # probability
ERASED_SIDE = (0.15, 0.45)  # side of the erased square, share of the image's side: 2 to 20% of its area

_DRAWS = 12  # random numbers for one image


def augment(
    images: torch.Tensor, strength: float, *, flip: bool, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Warp, recolour and erase `images` (float, shape (n, c, h, w), values in [0, 1]), one draw for each.

    Runs on the images' device without a loop over images and without synchronization. `flip` allows
    mirroring left to right. Border pixels are repeated outwards, as most recipes do.

    Raises ValueError when `strength` lies outside [0, 1].
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength is {strength}; it must lie in [0, 1]")
    if strength == 0:
        return images
    draws = torch.rand(len(images), _DRAWS, device=images.device, generator=generator)
    images = _warp(images, draws[:, :7], strength, flip)
    images = _recolour(images, draws[:, 7:9], strength)
    return _erase(images, draws[:, 9:12], strength)


def _warp(images: torch.Tensor, draws: torch.Tensor, strength: float, flip: bool) -> torch.Tensor:
    """Rotation, shift, zoom, shear and flip in a single resampling."""
    signed = (2 * draws - 1) * strength
    angle, shift_x, shift_y, shear = ROTATION * signed[:, 0], signed[:, 1], signed[:, 2], SHEAR * signed[:, 3]
    zoom_x, zoom_y = 1 + ZOOM * signed[:, 4], 1 + ZOOM * signed[:, 5]
    if flip:
        zoom_x = torch.where(draws[:, 6] < FLIP * strength, -zoom_x, zoom_x)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # rotation @ [[1, shear], [0, 1]] @ diag(zoom); coordinates run over [-1, 1], so a shift of the whole side is 2,
    # and where height and width differ so do their units
    tall = images.shape[2] / images.shape[3]
    row_x = torch.stack([cos * zoom_x, (cos * shear - sin) * zoom_y * tall, 2 * SHIFT * shift_x], dim=1)
    row_y = torch.stack([sin * zoom_x / tall, (sin * shear + cos) * zoom_y, 2 * SHIFT * shift_y], dim=1)
    grid = F.affine_grid(torch.stack([row_x, row_y], dim=1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _recolour(images: torch.Tensor, draws: torch.Tensor, strength: float) -> torch.Tensor:
    signed = ((2 * draws - 1) * strength)[:, :, None, None, None]
    contrast, brightness = 1 + CONTRAST * signed[:, 0], BRIGHTNESS * signed[:, 1]
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (mean + (images - mean) * contrast + brightness).clamp(0, 1)


def _erase(images: torch.Tensor, draws: torch.Tensor, strength: float) -> torch.Tensor:
    """A square of some images is set to their mean colour."""
    n, _, height, width = images.shape
    smallest, largest = ERASED_SIDE
    # the draw that decides whether to erase also sizes the square: it is uniform again once it is accepted
    chance = ERASE * strength
    side = smallest + (largest - smallest) * (draws[:, 0] / chance)
    inside = (draws[:, 0] < chance)[:, None, None]
    for draw, length, view in ((draws[:, 1], height, (n, -1, 1)), (draws[:, 2], width, (n, 1, -1))):
        position = (torch.arange(length, device=images.device) + 0.5) / length
        distance = (position[None] - draw[:, None]).abs()
        inside = inside & (distance < side[:, None] / 2).view(view)
    return torch.where(inside[:, None], images.mean(dim=(2, 3), keepdim=True), images)
