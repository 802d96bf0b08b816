"""Pictures read and warped with OpenCV, as contenders with workers of their own do it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from benchmark import affine
from benchmark.cases import SCALE, Case

__all__ = ["Pictures"]

_WARP = {
    "flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    "borderMode": cv2.BORDER_REPLICATE,
}


class Pictures:
    """The pictures of a case, by row.

    Parameters
    ----------
    case : Case
        Read from disk at each call, or decoded here once and kept as uint8.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self._decoded: tuple[np.ndarray, ...] | None = None
        if case.source == "memory":
            self._decoded = tuple(np.stack([_read(path) for path in paths]) for paths in case.paths)

    def plain(self, row: int) -> list[np.ndarray]:
        """Return the pictures of a row: uint8 of shape (height, width, 3)."""
        if self._decoded is not None:
            return [pictures[row] for pictures in self._decoded]
        return [_read(paths[row]) for paths in self.case.paths]

    def batch(self, rows: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Return augmented batches, one array a picture of the samples.

        Parameters
        ----------
        rows : numpy.ndarray
            Row numbers of shape (batch,).
        random : numpy.random.Generator
            Each row's transform is drawn from it.

        Returns
        -------
        tuple of numpy.ndarray
            Each float32 of shape (batch, height, width, 3), values from 0 to 1.
        """
        size = (self.case.size, self.case.size)
        batches = tuple(
            np.empty((len(rows), *self.case.shape), np.float32) for _ in self.case.folders
        )
        spare = np.empty(self.case.shape, np.float32)
        for place, row in enumerate(rows):
            matrix = affine.draw(random, self.case.size)
            for batch, picture in zip(batches, self.plain(row), strict=True):
                np.multiply(picture, np.float32(SCALE), out=spare)
                cv2.warpAffine(spare, matrix, size, dst=batch[place], **_WARP)
        return batches


def _read(path: str) -> Any:
    return cv2.imread(path, cv2.IMREAD_COLOR_RGB)
