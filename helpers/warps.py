"""One picture moved by a matrix, with the pixels that ``scipy.ndimage`` gives.

``cv2.warpAffine`` is about ten times as fast as ``scipy.ndimage.affine_transform``. On float32 it
gives the same pixels, if its limits are kept: pictures in small blocks, 1, 3 or 4 channels, and
borders that both draw alike. The nearest pixel, and borders that they draw otherwise, are NumPy's.

Pictures are float32 of shape (height, width, channels). Matrices are float64 of shape (2, 3); they
lead from (column, row, 1) of the result to the place in the picture.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

__all__ = ["BORDERS", "settle", "warp_blocks", "warp_linear", "warp_nearest"]

BORDERS = {
    "nearest": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT,
    "constant": cv2.BORDER_REPLICATE,  # what lies outside is overwritten with `cval`
}
# OpenCV computes where a pixel comes from in float32, whose steps grow with the distance from the
# corner. Blocks of a picture, each with a corner of its own, keep the error below 0.01 of 255.
_BLOCK_SIDE = 128
_BLOCK_REACH = 192
_LOWEST_BLOCK_SIDE = 32
_FARTHEST = 192

# Closer than this to a border or to a tie, two correct ways to compute it may disagree.
_TIE = 1e-9
# Farther than this, they disagree by more than that.
_TOO_FAR = 1e5


def warp_linear(
    picture: np.ndarray, matrix: np.ndarray, fill_mode: str, cval: float, place: np.ndarray | None
) -> np.ndarray | None:
    """Warp a picture, bilinear; None for a close call of "constant" or where it shrinks a lot."""
    height, width, channels = picture.shape
    outside = None
    if fill_mode == "constant":
        outside, close = _outside(matrix, height, width)
        if close:
            return None
    warped = np.empty_like(picture) if place is None else place
    for some in _channel_groups(channels):
        source, target = picture, warped
        if channels != some.stop - some.start:
            source = np.ascontiguousarray(picture[..., some])
            target = np.empty_like(source)
        if not warp_blocks(source, matrix, fill_mode, target):
            return None
        if target is not warped:
            warped[..., some] = target
    if outside is not None:
        warped[outside] = cval
    return warped


def _channel_groups(channels: int) -> list[slice]:
    """Cut channels into groups of 1, 3 or 4, which OpenCV warps exactly."""
    if channels in (1, 3, 4):
        return [slice(0, channels)]
    return [slice(channel, channel + 1) for channel in range(channels)]


def warp_blocks(source: np.ndarray, matrix: np.ndarray, fill_mode: str, target: np.ndarray) -> bool:
    """Warp a picture of 1, 3 or 4 channels into `target`, in blocks where it must be.

    False, and nothing done, where the blocks would be too small to be fast.
    """
    height, width = source.shape[:2]
    border = BORDERS[fill_mode]
    axes = matrix.tolist()
    if all(abs(a) * width + abs(b) * height + abs(c) <= _FARTHEST for a, b, c in axes):
        _warp_block(source, matrix, border, target)
        return True
    stretch = max(abs(a) + abs(b) for a, b, _ in axes)
    side = _BLOCK_SIDE if stretch == 0 else min(_BLOCK_SIDE, int(_BLOCK_REACH / stretch))
    if side < _LOWEST_BLOCK_SIDE or _is_too_far(matrix):
        return False
    for top, bottom in _cuts(height, side):
        for left, right in _cuts(width, side):
            columns, rows = (
                _read(*_reached(axis, (left, right - 1), (top, bottom - 1)), length, fill_mode)
                for axis, length in zip(axes, (width, height), strict=True)
            )
            own = matrix.copy()
            own[:, 2] = matrix @ (left, top, 1) - (columns[0], rows[0])
            part = _part(source, rows, columns)
            _warp_block(part, own, border, target[top:bottom, left:right])
    return True


def _cuts(side: int, longest: int) -> list[tuple[int, int]]:
    """Cut a side into equal pieces, none longer than `longest`."""
    count = -(-side // longest)
    length = -(-side // count)
    return [(start, min(start + length, side)) for start in range(0, side, length)]


def _reached(
    axis: list[float], columns: tuple[int, int], rows: tuple[int, int]
) -> tuple[float, float]:
    """Return the lowest and the highest place along one axis that a block comes from."""
    ends = [axis[0] * column + axis[1] * row + axis[2] for column in columns for row in rows]
    return min(ends), max(ends)


def _read(lowest: float, highest: float, side: int, fill_mode: str) -> tuple[int, int]:
    """Return the first pixel that a block reads along one axis, and the one after the last."""
    first, last = math.floor(lowest) - 2, math.ceil(highest) + 3
    if fill_mode == "reflect":
        return first, last
    # Beyond the border stands what is at the border.
    first = min(max(first, 0), side - 1)
    return first, max(min(last, side), first + 1)


def _part(source: np.ndarray, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
    """Cut a part out of a picture, which goes on beyond its borders as in a mirror."""
    height, width = source.shape[:2]
    if rows[0] >= 0 and columns[0] >= 0 and rows[1] <= height and columns[1] <= width:
        return source[slice(*rows), slice(*columns)]
    return source[
        np.ix_(_mirrored(np.arange(*rows), height), _mirrored(np.arange(*columns), width))
    ]


def _mirrored(index: np.ndarray, side: int) -> np.ndarray:
    """Bring pixels, or places between them, into a side that goes on mirrored: c b a | a b c."""
    index = index % (2 * side)
    return np.where(index < side, index, 2 * side - 1 - index)


def _warp_block(source: np.ndarray, matrix: np.ndarray, border: int, target: np.ndarray) -> None:
    size = target.shape[1], target.shape[0]
    warped = cv2.warpAffine(
        source,
        matrix,
        size,
        dst=target,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=border,
    )
    if warped is not target:
        target[...] = warped.reshape(target.shape)


def _is_too_far(matrix: np.ndarray) -> bool:
    return bool(np.abs(matrix).max() > _TOO_FAR)


def _coordinates(matrix: np.ndarray, height: int, width: int) -> list[np.ndarray]:
    """Where each pixel comes from: rows and columns, each float64 of shape (height, width).

    Summed in the order of SciPy's code (ni_interpolation.c, `NI_GeometricTransform`).
    """
    rows, columns = np.arange(height)[:, None], np.arange(width)
    return [matrix[axis, 2] + matrix[axis, 1] * rows + matrix[axis, 0] * columns for axis in (1, 0)]


def _rounds_nowhere(matrix: np.ndarray) -> bool:
    """Whether a matrix is made of halves: whole-pixel shifts and flips, and no angles.

    All of it: beside a shift, a half turn's sine of 1e-16 is rounded away in one row of the two.
    """
    return bool((matrix * 2 == np.rint(matrix * 2)).all())


def _is_close(distance: np.ndarray) -> bool:
    """Whether any distance from an edge is so small that rounding decides on which side it is."""
    return bool((np.abs(distance) < _TIE).any())


def _outside(matrix: np.ndarray, height: int, width: int) -> tuple[np.ndarray, bool]:
    """Which pixels come from outside the picture, and whether for one of them it is close."""
    outside = np.zeros((height, width), bool)
    close = False
    for place, side in zip(_coordinates(matrix, height, width), (height, width), strict=True):
        outside |= (place < 0) | (place > side - 1)
        close = close or _is_close(place) or _is_close(place - (side - 1))
    return outside, close and not _rounds_nowhere(matrix)


def warp_nearest(
    picture: np.ndarray, matrix: np.ndarray, fill_mode: str, cval: float
) -> np.ndarray | None:
    """Take the nearest pixel; None for another `fill_mode`, or where it is a close call."""
    height, width = picture.shape[:2]
    if fill_mode not in ("nearest", "reflect", "constant", "wrap") or _is_too_far(matrix):
        return None
    outside = None
    if fill_mode == "constant":
        outside, close = _outside(matrix, height, width)
        if close:
            return None
    index = []
    rounded = not _rounds_nowhere(matrix)
    for place, side in zip(_coordinates(matrix, height, width), (height, width), strict=True):
        if fill_mode == "wrap":
            # SciPy's "wrap" has the period side - 1: the last pixel falls on the first.
            if rounded and _is_close(place - np.rint(place / (side - 1)) * (side - 1)):
                return None
            below, above = place < 0, place > side - 1
            turns = np.trunc(place / (side - 1))
            place = np.where(below, place - (side - 1) * (turns - 1), place)
            place = np.where(above, place - (side - 1) * turns, place)
        if rounded and _is_close(place + 0.5 - np.rint(place + 0.5)):
            return None
        if fill_mode == "reflect":  # before it is rounded: SciPy rounds halves of the mirrored up
            place = _mirrored(place, side)
        index.append(np.floor(place + 0.5).astype(np.intp).clip(0, side - 1))
    warped = picture[index[0], index[1]]
    if outside is not None:
        warped[outside] = cval
    return warped


def settle(warped: np.ndarray, picture: np.ndarray, matrix: np.ndarray, fill_mode: str) -> None:
    """Compute the pixels near a whole level again, in float64, as SciPy does.

    What follows cuts to whole levels, where an error of a thousandth may become a level.
    """
    height, width = picture.shape[:2]
    doubtful = (np.abs(warped - np.rint(warped)) < 0.02).any(axis=2)
    if fill_mode == "constant":
        doubtful &= ~_outside(matrix, height, width)[0]
    rows, columns = np.nonzero(doubtful)
    index, parts = [], []
    for axis, side in ((1, height), (0, width)):
        place = matrix[axis, 2] + matrix[axis, 1] * rows + matrix[axis, 0] * columns
        if fill_mode != "reflect":
            place = np.clip(place, 0, side - 1)
        first = np.floor(place)
        parts.append((place - first)[:, None])
        pair = first.astype(np.intp) + np.array([[0], [1]])
        index.append(_mirrored(pair, side) if fill_mode == "reflect" else pair.clip(0, side - 1))
    values = np.zeros((len(rows), picture.shape[2]))
    for lower in (0, 1):
        for right in (0, 1):
            weight = (parts[0] if lower else 1 - parts[0]) * (parts[1] if right else 1 - parts[1])
            values += picture[index[0][lower], index[1][right]] * weight
    warped[rows, columns] = values
