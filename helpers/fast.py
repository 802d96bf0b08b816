"""`ImageDataGenerator`'s transforms for a whole batch, and a drop-in class: the same bits, faster.

`apply` does to a batch what ``apply_transform`` and ``standardize`` do to one image after the
other. `FastImageDataGenerator` takes the same options and seeds and gives the same batches. What
the kernel of `helpers.warp` cannot do is left to Keras, and is as slow as there:

===================================================  =============================================
what you ask for                                     who computes it
===================================================  =============================================
`interpolation_order` 0 or 1                         the kernel
flips, `rescale`, brightness, channel shift          the kernel, NumPy
standardisation, a `preprocessing_function`          Keras' own `standardize`, an image at a time
`interpolation_order` 2 to 5                         Keras
a `fill_mode` other than the four documented ones    Keras
`data_format` "channels_first", `dtype` not float32  Keras
brightness of values below 0 or above 255, or of     Keras
images with other than 1 or 3 channels
a class of one's own with its `apply_transform`      that method
===================================================  =============================================

The lesson that builds it: 09 Make it fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from helpers import warp

__all__ = ["FastImageDataGenerator", "apply", "as_dict", "as_line"]

ImageDataGenerator = tf.keras.preprocessing.image.ImageDataGenerator

_NEUTRAL = (0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, np.nan, np.nan)
_TX, _TY, _FLIPS, _SHIFT, _BRIGHTNESS = 1, 2, slice(6, 8), 8, 9
_LEVELS = np.arange(256, dtype=np.float32)

#: The options with which the value of a pixel depends on more than itself.
STATISTICS = (
    *("preprocessing_function", "samplewise_center", "samplewise_std_normalization"),
    *("featurewise_center", "featurewise_std_normalization", "zca_whitening"),
)


class FastImageDataGenerator(tf.keras.preprocessing.image.ImageDataGenerator):
    """An `ImageDataGenerator` that transforms fast: same options, same seeds, same batches.

    Use it wherever you use `ImageDataGenerator`.

    Examples
    --------
    >>> options = {"rotation_range": 20, "zoom_range": 0.2, "horizontal_flip": True}
    >>> image = np.random.default_rng(0).uniform(0, 255, (48, 64, 3)).astype("float32")
    >>> fast = FastImageDataGenerator(**options).random_transform(image, seed=1)
    >>> slow = ImageDataGenerator(**options).random_transform(image, seed=1)
    >>> float(np.abs(fast - slow).max())
    0.0
    """

    def apply_transform(self, x: np.ndarray, transform_parameters: Mapping[str, Any]) -> np.ndarray:
        """Apply one transform to one image.

        Parameters
        ----------
        x : numpy.ndarray
            One image, in the `data_format` of this object. It is left as it is.
        transform_parameters : mapping
            As ``get_random_transform`` returns; what is left out changes nothing.

        Returns
        -------
        numpy.ndarray
            Of the same shape and dtype.
        """
        plain = type(x) is np.ndarray and x.ndim == 3 and x.dtype == np.float32
        if not (plain and _kernel_can(self, x.shape)):
            return super().apply_transform(x, transform_parameters)
        line = as_line(transform_parameters)
        in_place = _values_alone(self)
        return _coloured(self, _warped(self, x[None], line[None], in_place)[0], line, in_place)


def apply(
    datagen: Any,
    images: np.ndarray,
    table: np.ndarray,
    *,
    sampled_for: Sequence[int] | None = None,
) -> np.ndarray:
    """Apply one transform to each image of a batch, and standardise it, as a flow does.

    Parameters
    ----------
    datagen : ImageDataGenerator
        Holds the options: border, interpolation, standardisation.
    images : numpy.ndarray
        Shape (batch, height, width, channels), or as `data_format` says; numbers of any dtype,
        values from 0 to 255. They are left as they are.
    table : numpy.ndarray
        float64 of shape (batch, 10): a line for each image, as `helpers.transforms.sample` returns.
    sampled_for : sequence of int, optional
        The shape of the image that the table was sampled for, where it is another than that of
        these images. Shifts scale with the size.

    Returns
    -------
    numpy.ndarray
        Of the same shape, in the `dtype` of `datagen` (float32).

    Raises
    ------
    ValueError
        If there are not as many lines as images, or `sampled_for` has other proportions: a
        rotation would then show other places.

    Examples
    --------
    >>> datagen = ImageDataGenerator(rescale=1 / 255)
    >>> table = np.array([as_line({"tx": 1, "flip_horizontal": True})])
    >>> image = np.array([0, 51, 102, 255], "uint8").reshape(1, 1, 4, 1)
    >>> apply(datagen, image, table).ravel().round(2)
    array([1. , 1. , 0.4, 0.2], dtype=float32)
    """
    expected = (len(images), len(warp.PARAMETERS))
    if table.shape != expected:
        raise ValueError(
            f"table: expected shape {expected} for {len(images)} images, found {table.shape}"
        )
    shape = images.shape[1:]
    if sampled_for is not None:
        table = _scaled(datagen, table, shape, tuple(sampled_for))
    if not (_kernel_can(datagen, shape) and is_own(datagen, "apply_transform", *_SAME_PIXELS)):
        batch = np.empty(images.shape, datagen.dtype)
        for place, image, line in zip(batch, images, table, strict=True):
            moved = datagen.apply_transform(image.astype(datagen.dtype), as_dict(line))
            place[...] = datagen.standardize(moved)
        return batch
    in_place = _values_alone(datagen)
    if in_place and np.isnan(table[:, _SHIFT:]).all():
        return _warped(datagen, images, table, scale=datagen.rescale or 1)
    batch = _warped(datagen, images, table, in_place)
    for place, line in zip(batch, table, strict=True):
        place[...] = datagen.standardize(_coloured(datagen, place, line, in_place))
    return batch


def as_line(parameters: Mapping[str, Any]) -> np.ndarray:
    """Return the parameters of one transform as a line of a table.

    Parameters
    ----------
    parameters : mapping
        As ``get_random_transform`` returns them; what is left out changes nothing.

    Returns
    -------
    numpy.ndarray
        float64 of shape (10,), columns as in `helpers.warp.PARAMETERS`; NaN in place of None.

    Examples
    --------
    >>> as_line({"theta": 30, "brightness": None})[[0, 4, 9]]
    array([30.,  1., nan])
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    neutral = zip(warp.PARAMETERS, _NEUTRAL, strict=True)
    return np.array([given.get(name, value) for name, value in neutral], float)


def as_dict(line: np.ndarray) -> dict[str, float | None]:
    """Return a line of a table in the form that ``apply_transform`` takes.

    Parameters
    ----------
    line : numpy.ndarray
        float64 of shape (10,), columns as in `helpers.warp.PARAMETERS`.

    Returns
    -------
    dict of str to float or None
        Degrees, pixels, factors; None in place of NaN.

    Examples
    --------
    >>> as_dict(as_line({"theta": 30}))["theta"], as_dict(as_line({}))["brightness"]
    (30.0, None)
    """
    values = [None if value != value else value for value in line.tolist()]
    return dict(zip(warp.PARAMETERS, values, strict=True))


def is_own(datagen: Any, method: str, *kinds: type) -> bool:
    """Say whether a method is that of one of these classes, and not set on the object itself."""
    known = [getattr(kind, method) for kind in kinds]
    return method not in vars(datagen) and getattr(type(datagen), method) in known


_SAME_PIXELS = (ImageDataGenerator, FastImageDataGenerator)


def _kernel_can(datagen: Any, shape: tuple[int, ...]) -> bool:
    return (
        datagen.interpolation_order in (0, 1)
        and datagen.fill_mode in warp.FILL_MODES
        and datagen.data_format == "channels_last"
        and np.dtype(datagen.dtype) == np.float32
        and 0 not in shape
    )


def _values_alone(datagen: Any) -> bool:
    """Say whether each value is standardised by itself: rescaled, and nothing else."""
    return (
        is_own(datagen, "standardize", ImageDataGenerator)
        and (not datagen.rescale or type(datagen.rescale) in (float, int))  # float32 in NumPy, too
        and not any(getattr(datagen, option) for option in STATISTICS)
    )


def _warped(
    datagen: Any, images: np.ndarray, table: np.ndarray, flipped: bool = True, scale: float = 1
) -> np.ndarray:
    height, width = images.shape[1:3]
    return warp.warp(
        images,
        warp.matrices(table, height, width),
        table[:, _FLIPS] != 0 if flipped else None,
        order=datagen.interpolation_order,
        fill_mode=datagen.fill_mode,
        cval=datagen.cval,
        scale=scale,
    )


def _coloured(datagen: Any, image: np.ndarray, line: np.ndarray, flipped: bool) -> np.ndarray:
    """Shift the channels of a warped image and change its brightness, as ``apply_transform`` does.

    An image that is not yet flipped is laid out in memory as Keras does, channel by channel, since
    the last bit of a mean depends on the order in which its values are added.
    """
    shift, brightness = line[_SHIFT].item(), line[_BRIGHTNESS].item()
    shifted, brightened = shift == shift, brightness == brightness  # not NaN
    if not flipped:
        if shifted or (line[:6] != _NEUTRAL[:6]).any():
            image = np.moveaxis(np.ascontiguousarray(np.moveaxis(image, 2, 0)), 0, 2)
        image = image[:, ::-1] if line[_FLIPS][0] else image
        image = image[::-1] if line[_FLIPS][1] else image
    if shifted:
        image = np.clip(image + shift, image.min(), image.max())
    if not brightened:
        return image
    if image.shape[2] in (1, 3) and image.min() >= 0 and image.max() <= 255:
        # Pillow cuts to whole levels, multiplies in float32 and cuts again
        # (src/libImaging/Blend.c): 256 levels have 256 results.
        levels = np.clip(np.float32(brightness) * _LEVELS, 0, 255).astype(np.uint8)
        return levels[np.ascontiguousarray(image).astype(np.uint8)].astype(np.float32)
    return ImageDataGenerator.apply_transform(datagen, image, {"brightness": brightness})


def scale_of_shifts(sides: Sequence[int], sampled_for: Sequence[int]) -> tuple[float, float]:
    """Return by how much tx and ty scale from the size they were sampled for to this one.

    Both are height and width, and must have the same proportions.
    """
    (height, width), (first_height, first_width) = sides[:2], sampled_for[:2]
    # Rounding may cost the smaller image half a pixel: 32 × 48 beside 65 × 97 is alike.
    small, large = sorted([(height, width), (first_height, first_width)])
    if abs(small[1] - large[1] * small[0] / large[0]) > 0.75:
        raise ValueError(
            f"images: expected the proportions of {first_height} × {first_width}, for which the "
            f"transforms were sampled, found {height} × {width}; resize or crop one of them, or "
            "sample transforms of its own"
        )
    return width / first_width, height / first_height  # tx moves along the columns, ty the rows


def _scaled(
    datagen: Any, table: np.ndarray, shape: tuple[int, ...], sampled_for: tuple[int, ...]
) -> np.ndarray:
    """Scale the shifts from the size that they were sampled for to this one."""
    sides = slice(datagen.row_axis - 1, datagen.col_axis)
    scaled = table.copy()
    scaled[:, [_TX, _TY]] *= np.array(scale_of_shifts(shape[sides], sampled_for[sides]))
    return scaled
