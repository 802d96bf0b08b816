"""`ImageDataGenerator`'s own transforms, the same pixels, with OpenCV in place of SciPy.

`FastImageDataGenerator` takes the same options, draws the same random transforms and gives the
same pictures, within 0.01 on a scale of 0 to 255. (Of larger values, within 0.01 of 255 parts of
the largest: float32 itself knows no steps below 0.06 at a million.) Where that cannot be had it
hands the picture over to `ImageDataGenerator`:

=====================================================  ====================================
what you ask for                                       who computes it
=====================================================  ====================================
no warp: flips, channel shifts, standardisation        NumPy
`interpolation_order` 1 with `fill_mode` "nearest",    OpenCV
"reflect" or "constant"
`interpolation_order` 0 (masks) with these or "wrap"   NumPy, equal to the last bit
brightness                                             Pillow, as in ImageDataGenerator; what it
                                                       gets after a warp is exact
brightness and a channel shift after a warp, or        ImageDataGenerator
brightness of values below 0 or above 255
`interpolation_order` 1 with "wrap", or above 1        ImageDataGenerator
any other `fill_mode`                                  ImageDataGenerator
pixels that are not float32, above 1e37, or NaN        ImageDataGenerator
pictures with a side of 1, or without channels         ImageDataGenerator
pictures that shrink to less than a sixth and reach    ImageDataGenerator
over 192 pixels; shifts of 100,000 pixels and more
a sample that falls within 1e-9 of where "constant"    ImageDataGenerator
begins or the nearest pixel changes
=====================================================  ====================================
"""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from helpers.buffers import empty
from helpers.transforms import with_own_random
from helpers.warps import BORDERS, settle, warp_blocks, warp_linear, warp_nearest

__all__ = ["PARAMETERS", "FastImageDataGenerator", "draw_transforms", "matrices"]

ImageDataGenerator = tf.keras.preprocessing.image.ImageDataGenerator

# What `ImageDataGenerator.get_random_transform` returns, in this order, one column each.
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
# A difference of two values must be finite too.
_TOO_LARGE = 1e37
_COLUMN = {name: column for column, name in enumerate(PARAMETERS)}
_DEFAULTS = (0, 0, 0, 0, 1, 1, 0, 0, math.nan, math.nan)


class FastImageDataGenerator(tf.keras.preprocessing.image.ImageDataGenerator):
    """An `ImageDataGenerator` that applies its transforms fast: same options, seeds and batches.

    Use it wherever you use `ImageDataGenerator`. What it computes otherwise than the original, and
    what it hands over, stands in the table of this module.

    Source of the formulas: keras/src/legacy/preprocessing/image.py, `apply_affine_transform`.

    Examples
    --------
    >>> options = {"rotation_range": 20, "zoom_range": 0.2, "horizontal_flip": True}
    >>> picture = np.random.RandomState(0).uniform(0, 255, (48, 64, 3)).astype("float32")
    >>> fast = FastImageDataGenerator(**options).random_transform(picture, seed=1)
    >>> slow = ImageDataGenerator(**options).random_transform(picture, seed=1)
    >>> bool(np.abs(fast - slow).max() < 0.01)
    True
    """

    def apply_transform(self, x: np.ndarray, transform_parameters: dict[str, Any]) -> np.ndarray:
        """Apply one transform to one picture.

        Parameters
        ----------
        x : numpy.ndarray
            One picture, in the generator's ``data_format``. It is left as it is.
        transform_parameters : dict
            What `get_random_transform` returns; what is left out changes nothing.

        Returns
        -------
        numpy.ndarray
            Of the same shape and dtype.
        """
        known = type(x) is np.ndarray and x.ndim == 3 and x.dtype == np.float32 and _is_tame(x)
        if not known or not set(transform_parameters) <= set(PARAMETERS):
            return super().apply_transform(x, transform_parameters)
        parameters = _as_array([transform_parameters])
        matrix = matrices(parameters, *self._sides(x.shape))[0]
        return self._transform(x, parameters[0].tolist(), matrix)

    def transform_batch(
        self,
        pictures: np.ndarray,
        parameters: np.ndarray,
        *,
        drawn_for: tuple[int, ...] | None = None,
        geometry_only: bool = False,
    ) -> np.ndarray:
        """Apply one transform to each picture of a batch, and standardise it.

        What a flow of this generator does to its pictures, without its order and its files.

        Parameters
        ----------
        pictures : numpy.ndarray
            Shape (batch, height, width, channels), or as ``data_format`` says; whole numbers or
            floats, values from 0 to 255. They are left as they are.
        parameters : numpy.ndarray
            float64 of shape (batch, 10): what `draw_transforms` returned.
        drawn_for : tuple of int, optional
            The shape that the transforms were drawn for, where it is another than that of these
            pictures: shifts scale with the size.
        geometry_only : bool
            Move the pixels and leave their values: no brightness, no channel shift, no
            standardisation. For masks, with ``interpolation_order=0``: whole numbers up to 2**24.

        Returns
        -------
        numpy.ndarray
            Of the same shape: the generator's dtype (float32), or that of `pictures` for masks
            (`geometry_only` and ``interpolation_order=0``).

        Raises
        ------
        ValueError
            If there are not as many transforms as pictures.
        """
        if parameters.shape != (len(pictures), len(PARAMETERS)):
            raise ValueError(
                f"parameters: expected shape {(len(pictures), len(PARAMETERS))} for "
                f"{len(pictures)} pictures, found {parameters.shape}"
            )
        parameters = _scaled(parameters, pictures.shape[1:], drawn_for, self._sides)
        if geometry_only:
            parameters = parameters.copy()
            parameters[:, _COLUMN["channel_shift_intensity"] :] = math.nan
        moves = matrices(parameters, *self._sides(pictures.shape[1:]))
        is_mask = geometry_only and self.interpolation_order == 0
        dtype = np.dtype("float32" if is_mask else self.dtype)
        batch = empty(pictures.shape, pictures.dtype if is_mask else dtype)
        fast = (
            dtype == np.float32
            and (pictures.dtype.kind in "iub" or _is_tame(pictures))
            and _is_own(self, "apply_transform", FastImageDataGenerator)
        )
        # A blend of scaled pixels is the scaled blend: scaling on the way in saves a pass.
        scale_first = fast and not geometry_only and self._only_scales(parameters)
        scale = np.float32(self.rescale if scale_first else 1)
        values = empty(pictures.shape[1:], dtype)
        drawn = parameters.tolist()
        for picture, row, matrix, place in zip(pictures, drawn, moves, batch, strict=True):
            np.multiply(picture, scale, out=values, casting="same_kind")
            if fast:
                moved = self._transform(values, row, matrix, None if is_mask else place)
            else:
                moved = self.apply_transform(values, _as_dict(row))
            if moved is not place:
                place[...] = moved
            if not (geometry_only or scale_first):
                standardized = self.standardize(place)
                if standardized is not place:
                    place[...] = standardized
        return batch

    def _only_scales(self, parameters: np.ndarray) -> bool:
        """Whether rescaling is all that is done to the values, so that it may come first."""
        return (
            bool(self.rescale)
            and _is_own(self, "standardize", ImageDataGenerator)
            and self.fill_mode != "constant"  # `cval` is in the picture's own values
            and np.isnan(parameters[:, _COLUMN["channel_shift_intensity"] :]).all()
            and not (
                self.preprocessing_function
                or self.samplewise_center
                or self.samplewise_std_normalization
                or self.featurewise_center
                or self.featurewise_std_normalization
                or self.zca_whitening
            )
        )

    def _sides(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Height and width in the shape of one picture."""
        return shape[self.row_axis - 1], shape[self.col_axis - 1]

    def _transform(
        self,
        x: np.ndarray,
        parameters: list[float],
        matrix: np.ndarray,
        place: np.ndarray | None = None,
    ) -> np.ndarray:
        """Apply a transform to a finite float32 picture; into `place`, where that is cheaper."""
        theta, tx, ty, shear, zx, zy, left_right, upside_down, shift, brightness = parameters
        moved = theta != 0 or tx != 0 or ty != 0 or shear != 0 or zx != 1 or zy != 1
        if moved:
            both = not (math.isnan(shift) or math.isnan(brightness))
            warped = None if both else self._warp(x, matrix, place, not math.isnan(brightness))
            if warped is None:
                return super().apply_transform(x, _as_dict(parameters))
            x = warped
        else:
            if left_right:
                x = np.flip(x, self.col_axis - 1)
            if upside_down:
                x = np.flip(x, self.row_axis - 1)
        if not math.isnan(shift):
            x = np.clip(x + shift, x.min(), x.max())
        if not math.isnan(brightness):
            x = super().apply_transform(x, {"brightness": brightness})
        return x

    def _warp(
        self, x: np.ndarray, matrix: np.ndarray, place: np.ndarray | None, exact: bool
    ) -> np.ndarray | None:
        """Move the pixels; None where ImageDataGenerator has to.

        `exact` asks for float32 values that round as the original's do: brightness cuts them.
        """
        channel_axis = self.channel_axis - 1
        if min(self._sides(x.shape)) < 2:
            return None
        picture = np.ascontiguousarray(x if channel_axis == 2 else np.moveaxis(x, channel_axis, 2))
        if self.interpolation_order == 0:
            warped = warp_nearest(picture, matrix, self.fill_mode, self.cval)
        elif self.interpolation_order == 1 and self.fill_mode in BORDERS and _is_exact_enough():
            target = place if channel_axis == 2 else None
            warped = warp_linear(picture, matrix, self.fill_mode, self.cval, target)
            if exact and warped is not None:
                settle(warped, picture, matrix, self.fill_mode)
                if warped.min() < 0 or warped.max() > 255:  # scaled by what they are
                    return None
        else:
            return None
        if warped is None or channel_axis == 2:
            return warped
        return np.ascontiguousarray(np.moveaxis(warped, 2, channel_axis))


def draw_transforms(
    datagen: Any, count: int, shape: tuple[int, ...], random: np.random.RandomState
) -> np.ndarray:
    """Draw transforms for `count` pictures, as so many calls of `get_random_transform` would.

    Parameters
    ----------
    datagen : ImageDataGenerator
        Holds the options.
    count : int
        How many.
    shape : tuple of int
        Of one picture. Shifts are in its pixels.
    random : numpy.random.RandomState
        What they are drawn from, in place of NumPy's global state.

    Returns
    -------
    numpy.ndarray
        float64 of shape (count, 10), a column for each of `PARAMETERS`; NaN where nothing is
        to be done to the colours. Angles are in degrees, shifts in pixels.

    Raises
    ------
    ValueError
        If a generator of a class of its own returns what is not in `PARAMETERS`.
    TypeError
        If it draws through ``super()``.

    Examples
    --------
    >>> datagen = ImageDataGenerator(rotation_range=90, horizontal_flip=True)
    >>> drawn = draw_transforms(datagen, 2, (64, 64, 3), np.random.RandomState(0))
    >>> drawn[0, 0] == datagen.get_random_transform((64, 64, 3), seed=0)["theta"]
    np.True_
    """
    if _draws_at_once(datagen):
        return _draw_at_once(datagen, count, shape, random)
    draw = with_own_random(datagen.get_random_transform, random)
    return _as_array([draw(shape) for _ in range(count)])


def matrices(parameters: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the matrices that lead from a pixel of the result to one of the picture.

    The product of rotation, shift, shear and zoom about the centre, and then the flips
    (keras/src/legacy/preprocessing/image.py, `apply_affine_transform`). As there, the centre of a
    picture that is not square has its two coordinates exchanged.

    Parameters
    ----------
    parameters : numpy.ndarray
        Shape (count, 10), see `draw_transforms`.
    height, width : int
        Of the pictures, in pixels.

    Returns
    -------
    numpy.ndarray
        float64 of shape (count, 2, 3), for (column, row, 1), as ``cv2.warpAffine`` takes them
        with ``WARP_INVERSE_MAP``.

    Examples
    --------
    >>> matrices(_as_array([{"tx": 5}]), 64, 64)[0] + 0
    array([[1., 0., 5.],
           [0., 1., 0.]])
    """
    theta, tx, ty, shear, zx, zy, left_right, upside_down = parameters.T[:8]
    angle, slope = np.deg2rad(theta), np.deg2rad(theta + shear)
    cosine, sine = np.cos(angle), np.sin(angle)
    moves = np.empty((len(parameters), 2, 3))
    moves[:, 0, 0], moves[:, 0, 1] = cosine * zx, -np.sin(slope) * zy
    moves[:, 1, 0], moves[:, 1, 1] = sine * zx, np.cos(slope) * zy
    centre = np.array([height, width]) / 2 - 0.5
    moves[:, 0, 2] = cosine * tx - sine * ty
    moves[:, 1, 2] = sine * tx + cosine * ty
    moves[:, :, 2] += centre - moves[:, :, :2] @ centre
    for flip, axis, side in ((left_right, 0, width), (upside_down, 1, height)):
        flipped = flip != 0
        moves[flipped, :, 2] += moves[flipped, :, axis] * (side - 1)
        moves[flipped, :, axis] *= -1
    return moves


def _is_tame(values: np.ndarray) -> bool:
    """Whether float32 can hold the differences of all values: none of them NaN or next to it."""
    return values.size > 0 and bool(values.min() > -_TOO_LARGE and values.max() < _TOO_LARGE)


def _as_array(drawn: list[dict[str, Any]]) -> np.ndarray:
    """Bring what `get_random_transform` returned into columns."""
    parameters = np.empty((len(drawn), len(PARAMETERS)))
    for row, one in zip(parameters, drawn, strict=True):
        unknown = sorted(set(one) - set(PARAMETERS))
        if unknown:
            raise ValueError(
                f"get_random_transform: expected the keys {PARAMETERS}, found {unknown[0]!r} too"
            )
        for column, (name, default) in enumerate(zip(PARAMETERS, _DEFAULTS, strict=True)):
            value = one.get(name, default)
            row[column] = math.nan if value is None else value
    return parameters


def _as_dict(row: list[float]) -> dict[str, Any]:
    """Bring one row of parameters into the form of `get_random_transform`."""
    return {
        name: None if math.isnan(value) else value
        for name, value in zip(PARAMETERS, row, strict=True)
    }


def _draws_at_once(datagen: Any) -> bool:
    """Whether all numbers for a picture are uniform, so that a batch of them is one call.

    Lists of shifts and whole-number shifts are drawn by ``np.random.choice``.
    """
    shifts = (datagen.height_shift_range, datagen.width_shift_range)
    return _is_own(datagen, "get_random_transform", ImageDataGenerator) and all(
        isinstance(shift, float) or not shift for shift in shifts
    )


def _is_own(datagen: Any, method: str, kind: type) -> bool:
    """Whether a method is that of this class: not of a subclass, nor set on the instance."""
    return getattr(type(datagen), method) is getattr(kind, method) and method not in vars(datagen)


def _draw_at_once(
    datagen: Any, count: int, shape: tuple[int, ...], random: np.random.RandomState
) -> np.ndarray:
    """Draw as `get_random_transform` does, one uniform number after another for each picture."""
    names, low, span, unit = _limits(datagen, shape)
    uniform = random.random_sample((count, len(names)))
    parameters = np.empty((count, len(PARAMETERS)))
    parameters[:] = _DEFAULTS
    parameters[:, names] = (low + span * uniform) * unit
    for name, allowed in (
        ("flip_horizontal", datagen.horizontal_flip),
        ("flip_vertical", datagen.vertical_flip),
    ):
        column = parameters[:, _COLUMN[name]]
        column[:] = (column < 0.5) * bool(allowed)
    return parameters


def _limits(datagen: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Which columns are drawn, in their order: number, lowest value, span and unit of each."""
    height, width = shape[datagen.row_axis - 1], shape[datagen.col_axis - 1]
    tx, ty = datagen.height_shift_range, datagen.width_shift_range
    # tx is drawn from height_shift_range and in parts of the height, and yet moves along the
    # columns: `apply_affine_transform` exchanges the axes.
    drawn: list[tuple[str, float, float, float]] = [
        (name, -limit, limit, unit)
        for name, limit, unit in (
            ("theta", datagen.rotation_range, 1),
            ("tx", tx, height if tx < 1 else 1),
            ("ty", ty, width if ty < 1 else 1),
            ("shear", datagen.shear_range, 1),
        )
        if limit
    ]
    if tuple(datagen.zoom_range) != (1, 1):
        drawn += [(name, *datagen.zoom_range, 1) for name in ("zx", "zy")]
    drawn += [(name, 0, 1, 1) for name in ("flip_horizontal", "flip_vertical")]
    colours = datagen.channel_shift_range
    if colours:
        drawn.append(("channel_shift_intensity", -colours, colours, 1))
    if datagen.brightness_range is not None:
        drawn.append(("brightness", *datagen.brightness_range, 1))
    names, low, high, unit = zip(*drawn, strict=True)
    return (
        np.array([_COLUMN[name] for name in names]),
        np.array(low, float),
        np.array(high, float) - np.array(low, float),
        np.array(unit, float),
    )


def _scaled(
    parameters: np.ndarray, shape: tuple[int, ...], drawn_for: tuple[int, ...] | None, sides: Any
) -> np.ndarray:
    """Scale the shifts from the size that they were drawn for to this one."""
    if drawn_for is None or sides(drawn_for) == sides(shape):
        return parameters
    (height, width), (drawn_height, drawn_width) = sides(shape), sides(drawn_for)
    scaled = parameters.copy()
    # tx moves along the columns and ty along the rows.
    scaled[:, _COLUMN["tx"]] *= width / drawn_width
    scaled[:, _COLUMN["ty"]] *= height / drawn_height
    return scaled


@functools.cache
def _is_exact_enough() -> bool:
    """Try once whether OpenCV warps as exactly as it must.

    OpenCV 4 does not: it knows but 32 places between two pixels.
    """
    trial = {"theta": 17, "shear": 9, "zx": 0.9, "zy": 1.2, "tx": 3.3}
    differences = []
    for channels in (1, 3, 4):  # each has code of its own
        picture = np.random.RandomState(0).uniform(0, 255, (125, 97, channels)).astype(np.float32)
        slow = ImageDataGenerator().apply_transform(picture, trial)
        fast = np.empty_like(picture)
        warp_blocks(picture, matrices(_as_array([trial]), 125, 97)[0], "nearest", fast)
        differences.append(float(np.abs(fast - slow).max()))
    difference = max(differences)
    if not difference <= 0.01:  # NaN too
        warnings.warn(
            f"cv2.warpAffine: expected the pixels of ImageDataGenerator within 0.01, found "
            f"{difference:.2g} with OpenCV {cv2.__version__}; its own code is used instead",
            stacklevel=2,
        )
    return difference <= 0.01
