"""Images read, sampled and warped with OpenCV, as contenders with workers of their own do it."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np

from benchmark.cases import AUGMENTATION, SCALE, Case

__all__ = ["Images", "read", "sample", "warp"]

_ANGLE = math.radians(AUGMENTATION["rotation_range"])
_SHIFT = (AUGMENTATION["height_shift_range"], AUGMENTATION["width_shift_range"])
_ZOOM = AUGMENTATION["zoom_range"]
_READ = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


def sample(random: np.random.Generator, size: int) -> np.ndarray:
    """Sample a map from a pixel of the result to a place in the image.

    The parts of `ImageDataGenerator`'s transform, multiplied out by hand: a matrix costs a few
    microseconds this way, a tenth of what five small NumPy products cost.

    Parameters
    ----------
    random : numpy.random.Generator
        Asked for six numbers.
    size : int
        Height and width of the image in pixels.

    Returns
    -------
    numpy.ndarray
        Shape (2, 3), float64, in (column, row) order: for `cv2.warpAffine` with
        ``WARP_INVERSE_MAP``.
    """
    angle, down, across, tall, wide, flip = random.random(6).tolist()
    angle = (2 * angle - 1) * _ANGLE
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


def read(path: str, size: int) -> Any:
    """Return the uint8 image of a file, resized to the nearest pixel where it has another size."""
    image: Any = cv2.imread(path, _READ)
    if image.shape[:2] == (size, size):
        return image
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_NEAREST)


def warp(image: np.ndarray, matrix: np.ndarray, spare: np.ndarray, place: np.ndarray) -> None:
    """Scale and warp a uint8 image into its place in a batch.

    Parameters
    ----------
    image : numpy.ndarray
        uint8 of shape (height, width, 3).
    matrix : numpy.ndarray
        As `sample` returns.
    spare, place : numpy.ndarray
        float32 of that shape: room to work in, and for the result.
    """
    np.multiply(image, np.float32(SCALE), out=spare)
    cv2.warpAffine(
        spare,
        matrix,
        place.shape[1::-1],
        dst=place,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


class Images:
    """The images of a case, by row.

    Parameters
    ----------
    case : Case
        Read from its files at each call, or decoded here once and kept as uint8.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self._decoded: tuple[np.ndarray, ...] | None = None
        if case.source == "memory":
            self._decoded = tuple(
                np.stack([read(path, case.size) for path in paths]) for paths in case.paths
            )

    def plain(self, row: int) -> list[np.ndarray]:
        """Return the images of a row: uint8 of shape (height, width, 3)."""
        if self._decoded is not None:
            return [images[row] for images in self._decoded]
        return [read(paths[row], self.case.size) for paths in self.case.paths]

    def batch(self, rows: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Return augmented batches, one array for each image of the samples.

        Parameters
        ----------
        rows : numpy.ndarray
            Row numbers of shape (batch,).
        random : numpy.random.Generator
            Each row's transform is sampled from it.

        Returns
        -------
        tuple of numpy.ndarray
            Each float32 of shape (batch, height, width, 3), values from 0 to 1.
        """
        batches = tuple(
            np.empty((len(rows), *self.case.shape), np.float32) for _ in self.case.folders
        )
        spare = np.empty(self.case.shape, np.float32)
        for place, row in enumerate(rows):
            matrix = sample(random, self.case.size)
            for batch, image in zip(batches, self.plain(row), strict=True):
                warp(image, matrix, spare, batch[place])
        return batches
