"""Random affine maps for contenders that warp with OpenCV themselves."""

from __future__ import annotations

import math

import numpy as np

from benchmark.cases import AUGMENTATION

__all__ = ["draw"]

_TURN = math.radians(AUGMENTATION["rotation_range"])
_SHIFT = (AUGMENTATION["height_shift_range"], AUGMENTATION["width_shift_range"])
_ZOOM = AUGMENTATION["zoom_range"]


def draw(random: np.random.Generator, size: int) -> np.ndarray:
    """Draw a map from a pixel of the result to a place in the picture.

    The parts of `ImageDataGenerator`'s transform, multiplied out by hand: a matrix costs a few
    microseconds this way, a tenth of what five small NumPy products cost.

    Parameters
    ----------
    random : numpy.random.Generator
        Drawn from six times.
    size : int
        Height and width of the picture in pixels.

    Returns
    -------
    numpy.ndarray
        Shape (2, 3), float64, in (column, row) order: for `cv2.warpAffine` with
        ``WARP_INVERSE_MAP``.
    """
    turn, down, across, tall, wide, flip = random.random(6).tolist()
    angle = (2 * turn - 1) * _TURN
    down = (2 * down - 1) * _SHIFT[0] * size
    across = (2 * across - 1) * _SHIFT[1] * size
    tall = _ZOOM[0] + tall * (_ZOOM[1] - _ZOOM[0])
    wide = _ZOOM[0] + wide * (_ZOOM[1] - _ZOOM[0])
    if flip < 0.5:
        wide = -wide  # about the centre, as all the rest
    cos, sin = math.cos(angle), math.sin(angle)
    a, b, c, d = cos * wide, -sin * tall, sin * wide, cos * tall
    centre = (size - 1) / 2
    return np.array(
        [
            [a, b, cos * across - sin * down + centre - (a + b) * centre],
            [c, d, sin * across + cos * down + centre - (c + d) * centre],
        ]
    )
