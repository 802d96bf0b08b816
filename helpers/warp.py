"""Transform parameters → matrices → one compiled kernel that warps a whole batch.

`ImageDataGenerator` calls ``scipy.ndimage.affine_transform`` once for each channel of each image.
`warp` computes the same pixels, to the last bit, for a whole batch in one call: Numba compiles it,
it takes bytes as they are, and it lets go of the interpreter's lock, so that threads share the
work. The first call in a fresh environment compiles for two seconds; the result is kept on disk.

The lesson that builds it: 09 Make it fast.
"""

from __future__ import annotations

import collections
import functools
import math
import mmap
import weakref
from typing import Any

import numba
import numpy as np

__all__ = ["FILL_MODES", "PARAMETERS", "matrices", "warp"]

#: The parameters of a transform, named and ordered as ``get_random_transform`` returns them.
PARAMETERS = (
    "theta",
    "tx",
    "ty",
    "shear",
    "zx",
    "zy",
    "flip_horizontal",
    "flip_vertical",
    "channel_shift_intensity",
    "brightness",
)

#: The `fill_mode` values of `ImageDataGenerator`, by the number that the kernel knows them by.
FILL_MODES = {"nearest": 0, "reflect": 1, "constant": 2, "wrap": 3}
_REFLECT, _CONSTANT, _WRAP = 1, 2, 3

# Farther away, in pixels, SciPy's integers overflow, and nothing is defined.
_FARTHEST = 1e15

_compiled = numba.njit(nogil=True, cache=True)


def matrices(parameters: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return for each line of parameters the matrix from a pixel of the result to its source.

    The product of rotation, shift, shear and zoom about the centre, multiplied in the order and
    in the way of ``apply_affine_transform`` (keras/src/legacy/preprocessing/image.py), so that the
    bits are the same. As there, the centre of an image that is not square has its two coordinates
    exchanged. Flips come after the warp: `warp` takes them apart.

    Parameters
    ----------
    parameters : numpy.ndarray
        float64 of shape (count, 6 or more), columns as in `PARAMETERS`: degrees, pixels, factors.
        The first six are read.
    height, width : int
        Of the images, in pixels.

    Returns
    -------
    numpy.ndarray
        float64 of shape (count, 2, 3), for (row, column, 1), as SciPy takes them: ``[:, :, :2]``
        is the matrix, ``[:, :, 2]`` the offset.

    Examples
    --------
    >>> matrices(np.array([[0.0, 5, 0, 0, 1, 1]]), 64, 64)[0]  # tx moves along the columns
    array([[1., 0., 0.],
           [0., 1., 5.]])
    """
    theta, tx, ty, shear, zx, zy = np.ascontiguousarray(parameters[:, :6].T)
    rotation, shift, shearing, zoom = np.tile(np.eye(3), (4, len(parameters), 1, 1))
    angle, slope = np.deg2rad(theta), np.deg2rad(shear)
    rotation[:, 0, 0] = rotation[:, 1, 1] = np.cos(angle)
    rotation[:, 1, 0] = np.sin(angle)
    rotation[:, 0, 1] = -rotation[:, 1, 0]
    shift[:, 0, 2], shift[:, 1, 2] = tx, ty
    shearing[:, 0, 1], shearing[:, 1, 1] = -np.sin(slope), np.cos(slope)
    zoom[:, 0, 0], zoom[:, 1, 1] = zx, zy
    centre = np.tile(np.eye(3), (2, 1, 1))
    centre[0, :2, 2] = height / 2 - 0.5, width / 2 - 0.5
    centre[1, :2, 2] = -centre[0, :2, 2]
    # A factor that changes nothing is the identity, and multiplying by that is exact: Keras leaves
    # such factors out.
    moves = centre[0] @ (rotation @ shift @ shearing @ zoom) @ centre[1]
    return np.ascontiguousarray(moves[:, 1::-1][:, :, [1, 0, 2]])  # (x, y) → (row, column)


def warp(
    images: np.ndarray,
    matrices: np.ndarray,
    flips: np.ndarray | None = None,
    *,
    order: int = 1,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    scale: float = 1.0,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Warp a batch of images, each by its own matrix, and flip and scale it in the same pass.

    The bits are those of ``scipy.ndimage.affine_transform`` on float32, called for each channel
    (scipy/ndimage/src/ni_interpolation.c). Shown on x86-64; a processor for which SciPy is compiled
    to fuse multiplication and addition may differ in the last bit.

    Parameters
    ----------
    images : numpy.ndarray
        Shape (count, height, width, channels), any number of channels. uint8 and float32 are read
        as they are, other dtypes as float32.
    matrices : numpy.ndarray
        float64 of shape (count, 2, 3), as `matrices` returns them.
    flips : numpy.ndarray, optional
        bool of shape (count, 2): mirror left and right, upside down. After the warp.
    order : int
        1 blends four pixels (bilinear), 0 takes the nearest one (masks).
    fill_mode : str
        One of `FILL_MODES`: what lies beyond the border.
    cval : float
        What lies there with ``"constant"``.
    scale : float
        The result is multiplied by this, in float32, as ``rescale`` is.
    out : numpy.ndarray, optional
        float32, C-contiguous and of the images' shape: where to write.

    Returns
    -------
    numpy.ndarray
        float32, of the shape of `images`, aligned so that TensorFlow takes it without a copy, in
        memory that is used again once nobody refers to it.

    Raises
    ------
    ValueError
        If shapes do not belong together, the order is above 1, the `fill_mode` is not known, or a
        matrix is not finite.

    Examples
    --------
    >>> image = np.arange(4, dtype="uint8").reshape(1, 1, 4, 1)
    >>> half_a_pixel = np.array([[[1.0, 0, 0], [0, 1, 0.5]]])
    >>> warp(image, half_a_pixel).ravel().tolist()
    [0.5, 1.5, 2.5, 3.0]
    """
    if images.ndim != 4 or 0 in images.shape[1:]:
        raise ValueError(
            f"images: expected shape (count, height, width, channels), found {images.shape}"
        )
    if matrices.shape != (len(images), 2, 3):
        raise ValueError(
            f"matrices: expected shape {(len(images), 2, 3)} for {len(images)} images, "
            f"found {matrices.shape}"
        )
    if order not in (0, 1):
        raise ValueError(f"order: expected 0 or 1, found {order}")
    if fill_mode not in FILL_MODES:
        raise ValueError(f"fill_mode: expected one of {list(FILL_MODES)}, found {fill_mode!r}")
    if not (np.abs(matrices) < _FARTHEST).all():  # NaN too
        raise ValueError(f"matrices: expected finite numbers below {_FARTHEST:g}, found others")
    if images.dtype not in (np.uint8, np.float32):
        images = images.astype(np.float32)
    if flips is None:
        flips = np.zeros((len(images), 2), bool)
    elif flips.shape != (len(images), 2):
        raise ValueError(f"flips: expected shape {(len(images), 2)}, found {flips.shape}")
    if out is None:
        out = _empty(images.shape)
    elif out.shape != images.shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise ValueError(
            f"out: expected float32 of shape {images.shape} in one piece, "
            f"found {out.dtype} of shape {out.shape}"
        )
    matrices = np.ascontiguousarray(matrices, np.float64)
    _warp_batch(
        np.ascontiguousarray(images),
        matrices,
        np.ascontiguousarray(flips, np.bool_),
        (order == 1) & (matrices != np.eye(2, 3)).any(axis=(1, 2)),
        FILL_MODES[fill_mode],
        np.float32(cval),
        np.float32(scale),
        out,
    )
    return out


@_compiled
def _warp_batch(
    images: Any, matrices: Any, flips: Any, blends: Any, mode: int, cval: Any, scale: Any, out: Any
) -> None:
    count, height, width, channels = images.shape
    # One channel after the other as float64, with a pixel more on each side: a pixel at the border
    # then has four neighbours like any other, and the innermost loops have no branch.
    planes = np.empty((channels, (height + 2) * (width + 2)))
    y, x = np.empty(width), np.empty(width)  # where each pixel of a row comes from
    source, outside = np.empty(width, np.uintp), np.zeros(width, np.bool_)
    for number in range(count):
        image, matrix = images[number], matrices[number]
        mirrored, upside_down = flips[number]
        if blends[number]:
            _pad(image, mode, planes)
        for row in range(height):
            target = out[number, height - 1 - row if upside_down else row]
            for column in range(width):
                from_column = width - 1 - column if mirrored else column
                # Summed in SciPy's order: another one rounds otherwise.
                y[column] = matrix[0, 2] + row * matrix[0, 0] + from_column * matrix[0, 1]
                x[column] = matrix[1, 2] + row * matrix[1, 0] + from_column * matrix[1, 1]
            for column in range(width if mode in (_REFLECT, _WRAP) else 0):
                y[column] = _inside(y[column], height, mode)
                x[column] = _inside(x[column], width, mode)
            for column in range(width if mode == _CONSTANT else 0):
                within = 0.0 <= y[column] <= height - 1.0 and 0.0 <= x[column] <= width - 1.0
                outside[column] = not within
            if blends[number]:
                _blend_row(planes, y, x, height, source, scale, target)
            else:
                _pick_row(image, y, x, scale, target)
            for column in range(width if mode == _CONSTANT else 0):
                if outside[column]:
                    target[column] = cval * scale


@_compiled
def _inside(place: float, side: int, mode: int) -> float:
    """Bring a place along a side to where its pixels are, as SciPy's ``map_coordinate`` does."""
    last = side - 1.0
    if 0.0 <= place <= last:
        return place
    if side <= 1:
        return 0.0
    if mode == _WRAP:  # the period is one pixel short: the last one falls on the first
        if place < 0.0:
            return place + last * (np.trunc(-place / last) + 1.0)
        return place - last * np.trunc(place / last)
    period = 2.0 * side  # reflect: d c b a | a b c d | d c b a
    if place >= 0.0:
        place -= period * np.trunc(place / period)
        return period - place - 1.0 if place >= side else place
    if place < -period:
        place += period * np.trunc(-place / period)
    if place < -side:
        return place + period
    # For SciPy, -1 and less would be nowhere: it keeps the tiniest places from there.
    return (1e-15 if place > -1e-15 else -place) - 1.0


@_compiled
def _pad(image: Any, mode: int, planes: Any) -> None:
    """Copy an image to planes with one pixel more on each side."""
    height, width, channels = image.shape
    # Beyond the last pixel SciPy mirrors for "constant" and "wrap". The weight there is 0, which
    # only a value that is not finite tells from another pixel.
    beyond = 2 if mode in (_CONSTANT, _WRAP) else 1
    below, right = max(height - beyond, 0), max(width - beyond, 0)
    for padded_row in range(height + 2):
        row = below if padded_row == height + 1 else max(padded_row - 1, 0)
        start = padded_row * (width + 2)
        for channel in range(channels):
            target = planes[channel, start : start + width + 2]
            target[0], target[width + 1] = image[row, 0, channel], image[row, right, channel]
            for column in range(width):
                target[column + 1] = image[row, column, channel]


@_compiled
def _blend_row(planes: Any, y: Any, x: Any, height: int, source: Any, scale: Any, out: Any) -> None:
    """Blend four pixels each, multiplied and summed in SciPy's order; y and x become weights."""
    # Unsigned, since of a signed index Numba asks each time whether it counts from the end: that
    # costs half the speed.
    width = y.shape[0]
    line, one = np.uintp(width + 2), np.uintp(1)
    for column in range(width):
        row, from_column = np.floor(y[column]), np.floor(x[column])
        y[column], x[column] = 1.0 - (y[column] - row), 1.0 - (x[column] - from_column)
        # With "nearest" SciPy blends what lies beyond the border, which all is the border's pixel.
        row = min(max(row, -1.0), height - 1.0) + 1.0
        from_column = min(max(from_column, -1.0), width - 1.0) + 1.0
        source[column] = np.uintp(row) * line + np.uintp(from_column)
    for channel in range(planes.shape[0]):
        values = planes[channel]
        for column in range(width):
            place, upper, left = source[column], y[column], x[column]
            lower, right = 1.0 - upper, 1.0 - left
            blend = values[place] * upper * left + values[place + one] * upper * right
            blend += values[place + line] * lower * left
            blend += values[place + line + one] * lower * right
            out[column, channel] = np.float32(blend) * scale


@_compiled
def _pick_row(image: Any, y: Any, x: Any, scale: Any, out: Any) -> None:
    """Take the nearest pixel: of an image that does not move, the pixel itself."""
    height, width, channels = image.shape
    for column in range(width):
        row = np.uintp(min(max(np.floor(y[column] + 0.5), 0.0), height - 1.0))
        from_column = np.uintp(min(max(np.floor(x[column] + 0.5), 0.0), width - 1.0))
        for channel in range(channels):
            out[column, channel] = np.float32(image[row, from_column, channel]) * scale


# --- memory ---------------------------------------------------------------------------------------
# A batch of images is megabytes. Memory that is new from the system is cleared page by page, which
# costs as much as the warp itself. So a few batches of each size stay ready, and what is more goes
# back to the system at once: it is mapped, not allocated, and so it starts at a page, too.

_SMALLEST = 1 << 16  # bytes; smaller arrays are NumPy's own
_MOST_BATCHES, _MOST_BYTES = 6, 1 << 26  # that are ready, of each of the sizes used last


@functools.lru_cache(maxsize=8)
def _ready(size: int) -> collections.deque[mmap.mmap]:
    """Return the memory of a size that is ready; of what is added to it, the last few stay."""
    return collections.deque(maxlen=min(_MOST_BATCHES, _MOST_BYTES // size))


def _empty(shape: tuple[int, ...]) -> np.ndarray:
    """Return a float32 array as ``numpy.empty`` does, in memory that is used again."""
    size = 4 * math.prod(shape)
    if size < _SMALLEST:
        return np.empty(shape, np.float32)
    ready = _ready(size)
    try:
        memory = ready.pop()
    except IndexError:
        memory = mmap.mmap(-1, size)
    # Every view, and every tensor that TensorFlow makes of it, refers to this array, and to no
    # other: NumPy looks no further for an owner, since the memory is no array's. Its end may come
    # at any moment and in any thread, so all that happens then is one append, which needs no lock.
    owner = np.frombuffer(memory, np.float32)
    weakref.finalize(owner, ready.append, memory).atexit = False
    return owner.reshape(shape)
