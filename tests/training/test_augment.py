"""What `augment` does to an image is read off a chart whose channels know where each pixel was.

The chart has five channels: two constants, the coordinates x and y, and x squared. The constants give away the
contrast, the coordinates the affine map, and where x squared is not the square of x, the pixel was erased.
"""

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from search.training.augment import augment

DRAWS = 2000
SQUARE, TALL = (32, 32), (32, 24)
LARGEST = {
    "rotation": math.radians(30),
    "shift_x": 0.2,
    "shift_y": 0.2,
    "zoom_x": 0.2,
    "zoom_y": 0.2,
    "shear": 0.2,
    "brightness": 0.2,
    "contrast": 0.4,
}


@dataclass(frozen=True)
class Seen:
    """effects: name -> array of one value for each image; mirrored: bool (n,); erased: bool (n, h, w), over all."""

    effects: dict[str, np.ndarray]
    mirrored: np.ndarray
    erased: np.ndarray
    decoded: np.ndarray


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def textures(n, channels, height, width):
    """Pixels that are black, white or grey."""
    return torch.randint(0, 3, (n, channels, height, width), generator=generator(99)) / 2


def coordinates(height, width):
    """x and y of pixel centres, 0 in the middle of the image and 1 at the end of its longer side."""
    y, x = np.mgrid[:height, :width] + 0.5
    return (x - width / 2) / (max(height, width) / 2), (y - height / 2) / (max(height, width) / 2)


def chart(height, width):
    x, y = coordinates(height, width)
    channels = np.stack([np.full_like(x, -0.5), np.full_like(x, 0.5), x, y, x * x])
    return torch.from_numpy(0.5 + 0.1 * channels).float()


@functools.cache
def seen(strength, flip=False, size=SQUARE):
    """The effects of 2,000 draws, each of them on the same chart."""
    height, width = size
    images = augment(chart(*size).repeat(DRAWS, 1, 1, 1), strength, flip=flip, generator=generator())
    pixels = (images.double().numpy() - 0.5) * 10
    low, high = pixels[:, 0], pixels[:, 1]
    contrast, middle = (high - low)[:, 0, 0], ((high + low) / 2)[:, 0, 0]
    decoded = (pixels - middle[:, None, None, None]) / contrast[:, None, None, None]
    erased = decoded[:, 4] - decoded[:, 2] ** 2 > 0.05
    x, y = coordinates(*size)
    patch = (abs(x) < 0.25) & (abs(y) < 0.25)
    whole = ~erased.any(axis=(1, 2))
    design = np.stack([x[patch], y[patch], np.ones(patch.sum())], axis=1)
    affine = decoded[whole][:, 2:4][:, :, patch] @ np.linalg.pinv(design).T  # (n, 2, 3): where a pixel came from
    mirrored = np.linalg.det(affine[:, :, :2]) < 0
    across = affine[:, :, 0] * np.where(mirrored, -1, 1)[:, None]
    angle = np.arctan2(across[:, 1], across[:, 0])
    along = np.cos(angle) * affine[:, 0, 1] + np.sin(angle) * affine[:, 1, 1]
    upright = np.cos(angle) * affine[:, 1, 1] - np.sin(angle) * affine[:, 0, 1]
    mean = decoded[whole].mean(axis=(1, 2, 3))
    effects = {
        "rotation": angle,
        "shift_x": affine[:, 0, 2] / 2 * max(size) / width,
        "shift_y": affine[:, 1, 2] / 2 * max(size) / height,
        "zoom_x": np.linalg.norm(across, axis=1) - 1,
        "zoom_y": upright - 1,
        "shear": along / upright,
        "brightness": (middle[whole] - mean * (1 - contrast[whole])) / 10,
        "contrast": contrast[whole] - 1,
    }
    return Seen(effects, mirrored, erased, decoded)


@pytest.mark.parametrize("size", [SQUARE, TALL])
@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("effect", LARGEST)
def test_an_effect_is_drawn_evenly_from_its_range(effect, strength, size):
    drawn = seen(strength, size=size).effects[effect] / (strength * LARGEST[effect])
    assert len(drawn) > 900
    assert abs(drawn).max() < 1.01
    assert drawn.min() < -0.98
    assert drawn.max() > 0.98
    # a uniform draw has deviation 1 / sqrt(3); four standard errors of 900 draws
    assert abs(drawn.mean()) < 4 / math.sqrt(3 * 900)
    assert drawn.std() == pytest.approx(1 / math.sqrt(3), rel=0.06)


def test_effects_are_drawn_independently():
    drawn = seen(1.0, flip=True)
    table = np.stack([*drawn.effects.values(), drawn.mirrored])
    for one, other in itertools.combinations(table, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 4 / math.sqrt(900)


def test_strength_zero_changes_nothing():
    images = textures(4, 3, 16, 16)
    assert torch.equal(augment(images, 0.0, flip=True), images)


def test_a_strength_near_zero_changes_next_to_nothing():
    images = torch.rand(200, 1, 16, 16, generator=generator())
    assert (augment(images, 1e-4, flip=False, generator=generator()) - images).abs().max() < 0.01


@pytest.mark.parametrize("strength", [-0.1, 1.1, math.nan, math.inf])
def test_a_bad_strength_is_named(strength):
    with pytest.raises(ValueError, match=f"strength is {strength}"):
        augment(textures(1, 1, 8, 8), strength, flip=False)


@pytest.mark.parametrize("flip", [False, True])
def test_each_image_gets_its_own_draw(flip):
    out = augment(chart(*SQUARE).repeat(200, 1, 1, 1), 1.0, flip=flip, generator=generator())
    assert len(torch.unique(out, dim=0)) == 200


def test_the_generator_alone_decides():
    images = textures(8, 3, 16, 16)
    state = torch.get_rng_state()
    once, again, other = (augment(images, 0.7, flip=True, generator=generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("strength", [0.3, 1.0])
@pytest.mark.parametrize(
    ("channels", "height", "width"), [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 32, 32), (4, 5, 7), (3, 64, 48)]
)
def test_shape_type_and_range_are_kept_and_the_input_is_not_touched(channels, height, width, strength):
    images = textures(50, channels, height, width)
    before = images.clone()
    out = augment(images, strength, flip=True, generator=generator())
    assert (out.shape, out.dtype, out.device) == (images.shape, images.dtype, images.device)
    assert out.min() >= 0
    assert out.max() <= 1
    assert torch.equal(images, before)


def test_border_pixels_are_repeated_outwards():
    out = augment(torch.full((200, 3, 16, 16), 0.5), 1.0, flip=True, generator=generator())
    assert (out.amax(dim=(1, 2, 3)) - out.amin(dim=(1, 2, 3))).max() < 1e-6


def test_colours_move_together():
    grey = textures(50, 1, 16, 16).repeat(1, 3, 1, 1)
    out = augment(grey, 1.0, flip=True, generator=generator())
    assert (out - out[:, :1]).abs().max() < 1e-6


def test_without_flip_an_image_stays_closer_to_itself_than_to_its_mirror():
    ramp = chart(*SQUARE)[2:3].repeat(DRAWS, 1, 1, 1)
    out = augment(ramp, 0.05, flip=False, generator=generator())
    own, mirror = ((out - image).square().mean(dim=(1, 2, 3)) for image in (ramp, ramp.flip(3)))
    assert (own < mirror).all()
    assert not seen(1.0, flip=False).mirrored.any()


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_with_flip_half_the_images_are_mirrored_at_full_strength(strength):
    assert seen(strength, flip=True).mirrored.mean() == pytest.approx(strength / 2, abs=0.05)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_half_the_images_lose_a_square_at_full_strength(strength):
    erased = seen(strength).erased
    hit = erased.any(axis=(1, 2))
    assert hit.mean() == pytest.approx(strength / 2, abs=0.05)
    height, width = (erased[hit].any(axis=axis).sum(axis=1) for axis in (2, 1))
    assert (erased[hit].sum(axis=(1, 2)) == height * width).all()
    cut = erased[hit][:, [0, -1], :].any(axis=(1, 2)) | erased[hit][:, :, [0, -1]].any(axis=(1, 2))
    assert abs(height - width)[~cut].max() <= 1
    # sides are even draws from 15% to 45%: 4.8 to 14.4 of 32 pixels; large squares are cut by the border more often
    assert height.max() in (14, 15)
    assert height[~cut].min() in (4, 5)
    assert np.histogram(height[~cut], bins=[4, 8, 11, 16])[0].min() > 0.15 * (~cut).sum()


def test_squares_are_erased_everywhere():
    often = seen(1.0).erased.mean(axis=0)
    middle = often[8:24, 8:24]
    assert middle.min() > 0.6 * middle.max()
    assert often[[0, 0, -1, -1], [0, -1, 0, -1]].min() > 0


def test_an_erased_square_has_one_colour_between_the_darkest_and_the_lightest():
    drawn = seen(1.0)
    for image, erased in zip(drawn.decoded, drawn.erased, strict=True):
        if erased.any():
            colours = image[2:, erased]
            assert np.ptp(colours, axis=1).max() < 1e-4
            assert abs(colours[:2, 0]).max() < 0.6


def test_distortion_grows_with_strength():
    images = chart(*SQUARE)[2:4].repeat(500, 1, 1, 1)
    strengths = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
    moved = [float((augment(images, s, flip=False, generator=generator()) - images).abs().mean()) for s in strengths]
    assert moved[0] == 0
    assert all(weak < strong for weak, strong in itertools.pairwise(moved))
