"""`ImageDataGenerator`'s transforms without it: one composed affine per image, in the graph.

What replaces the class is not a chain of layers, each of which resamples, but one affine transform
per image: `affine` applies it, and `replacement` does with it what a given `ImageDataGenerator`
does, and names each option that it cannot carry over. The numbers come from a table
(`helpers.transforms.sample`), so nothing random happens in the graph.

All of it is `keras.ops`. With TensorFlow it runs in ``Dataset.map``; on any backend it takes that
backend's batches, or stands in the ``call`` of a layer.

The lesson that builds it: 10 Leaving ImageDataGenerator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from helpers import transforms
from helpers.fast import is_own, scale_of_shifts
from helpers.warp import FILL_MODES

__all__ = ["affine", "replacement"]

ImageDataGenerator = tf.keras.preprocessing.image.ImageDataGenerator


def affine(
    images: Any,
    lines: Any,
    *,
    sampled_for: Sequence[int] | None = None,
    order: int = 1,
    fill_mode: str = "nearest",
    cval: float = 0.0,
) -> Any:
    """Move each image of a batch as ``apply_transform`` does: one affine transform, and flips.

    Parameters
    ----------
    images : tensor
        Shape (batch, height, width, channels); height and width must be known.
    lines : tensor
        Shape (batch, 10): a line of the table for each image, columns as in
        `helpers.transforms.PARAMETERS`: degrees, pixels, factors. Colours are not changed here.
    sampled_for : sequence of int, optional
        Height and width that the table was sampled for, where they are other than those of these
        images. Shifts scale with the size.
    order, fill_mode, cval : int, str, float
        Interpolation (1 blends four pixels, 0 takes the nearest one: masks) and what lies beyond
        the border, as in `ImageDataGenerator`.

    Returns
    -------
    tensor
        Of the same shape; float32, or the images' own dtype with ``order=0``.

    Raises
    ------
    ValueError
        If height and width are not known or have other proportions than `sampled_for`, the order
        is above 1, or the `fill_mode` is not known.

    Examples
    --------
    >>> image = np.array([0, 51, 102, 255], "float32").reshape(1, 1, 4, 1)
    >>> line = np.array([[0, 1, 0, 0, 1, 1, 1, 0, np.nan, np.nan]])  # tx = 1, flipped
    >>> affine(image, line).numpy().ravel().tolist()
    [255.0, 255.0, 102.0, 51.0]
    """
    height, width = images.shape[1:3]
    if height is None or width is None:
        raise ValueError(
            f"images: expected a known height and width, found shape {tuple(images.shape)}; "
            "resize them, or set the shape with tf.ensure_shape"
        )
    if order not in (0, 1):
        raise ValueError(f"order: expected 0 or 1, found {order}")
    if fill_mode not in FILL_MODES:
        raise ValueError(f"fill_mode: expected one of {list(FILL_MODES)}, found {fill_mode!r}")
    scales = scale_of_shifts((height, width), sampled_for or (height, width))
    matrix = _matrices(ops.convert_to_tensor(lines), height, width, scales)
    source = ops.cast(images, "float32")
    # Where each pixel comes from: x and y, of shape (batch, height, width).
    a, b, c, d, e, f = (matrix[:, i][:, None, None] for i in range(6))
    column = ops.cast(ops.arange(width), matrix.dtype)[None, None, :]
    row = ops.cast(ops.arange(height), matrix.dtype)[None, :, None]
    x, y = a * column + b * row + c, d * column + e * row + f
    if fill_mode == "wrap":
        moved = _wrapped(source, y, x, order)
    else:
        moved = ops.image.affine_transform(
            source,
            ops.cast(ops.pad(matrix, ((0, 0), (0, 2))), "float32"),
            interpolation=("nearest", "bilinear")[order],
            fill_mode="reflect" if fill_mode == "reflect" else "nearest",
            data_format="channels_last",
        )
    if fill_mode == "constant":
        # Keras fades to the fill value over a pixel; the class has it wherever the source lies
        # outside, and nowhere else.
        inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        moved = ops.where(inside[..., None], moved, cval)
    return moved if order else ops.cast(moved, images.dtype)


def _matrices(lines: Any, height: int, width: int, scales: tuple[float, float]) -> Any:
    """Return for each line the six numbers that lead from a pixel (x, y) to its source.

    They are what `helpers.warp.matrices` returns, multiplied out so that the graph computes them,
    and with the flips that come after it. As in the class, the centre's coordinates are exchanged
    where an image is not square.
    """
    theta, tx, ty, shear, zx, zy, mirrored, upside_down = (lines[:, i] for i in range(8))
    tx, ty = tx * scales[0], ty * scales[1]
    theta, shear = theta * (math.pi / 180), shear * (math.pi / 180)
    cosine, sine = ops.cos(theta), ops.sin(theta)
    a, b = zx * cosine, -zy * ops.sin(theta + shear)
    d, e = zx * sine, zy * ops.cos(theta + shear)
    centre_x, centre_y = height / 2 - 0.5, width / 2 - 0.5
    c = centre_x - a * centre_x - b * centre_y + cosine * tx - sine * ty
    f = centre_y - d * centre_x - e * centre_y + sine * tx + cosine * ty
    # A mirrored pixel x is what stood at width - 1 - x.
    c, f = c + mirrored * a * (width - 1), f + mirrored * d * (width - 1)
    c, f = c + upside_down * b * (height - 1), f + upside_down * e * (height - 1)
    left_right, up_down = 1 - 2 * mirrored, 1 - 2 * upside_down
    return ops.stack([a * left_right, b * up_down, c, d * left_right, e * up_down, f], axis=1)


def _wrapped(images: Any, y: Any, x: Any, order: int) -> Any:
    """Warp with SciPy's "wrap": the period is one pixel short, the last falls on the first."""

    def folded(place: Any, last: int) -> Any:
        inside = (place >= 0) & (place <= last)
        return ops.where(inside, place, place - last * ops.floor(place / max(last, 1)))

    def one(image_and_places: Any) -> Any:
        image, places = image_and_places
        planes = (image[..., channel] for channel in range(image.shape[-1]))
        moved = (ops.image.map_coordinates(p, places, order, fill_mode="nearest") for p in planes)
        return ops.stack(list(moved), axis=-1)

    places = ops.stack([folded(y, images.shape[1] - 1), folded(x, images.shape[2] - 1)], axis=1)
    return ops.vectorized_map(one, (images, ops.cast(places, "float32")))


# Of each option the values that can be carried over, and what to do about others.
_CARRIED: dict[str, tuple[Collection[Any], str]] = {
    "preprocessing_function": ([None], "set it to None, and write it with keras.ops"),
    "interpolation_order": ([0, 1], "only 0 and 1 run in the graph"),
    "fill_mode": (FILL_MODES, f"only {', '.join(FILL_MODES)} are known"),
    "data_format": (["channels_last"], "transpose the images to channels_last"),
    "dtype": (["float32", np.float32], "the result is float32"),
    "_validation_split": ([None, 0], "split the rows or the table yourself, before reading"),
}
_LEARNED = {
    "featurewise_center": "mean",
    "featurewise_std_normalization": "std",
    "zca_whitening": "zca_whitening_matrix",
}
_OWN = "a method of your own: write it with keras.ops, in a map of its own"


def _cannot_carry(datagen: Any) -> dict[str, str]:
    """Name each option or method that cannot be carried over, and what to do in place of it."""
    if not isinstance(datagen, ImageDataGenerator):
        raise TypeError(f"datagen: expected an ImageDataGenerator, found {type(datagen).__name__}")
    methods = ("get_random_transform", "apply_transform", "standardize")
    said = {name: _OWN for name in methods if not is_own(datagen, name, ImageDataGenerator)}
    for option, (carried, instead) in _CARRIED.items():
        found = getattr(datagen, option)
        if found not in carried:
            shown = getattr(found, "__name__", repr(found))  # of a function no address
            said[option.lstrip("_")] = f"{shown}: {instead}"
    if datagen.brightness_range is not None and not 0 <= datagen.cval <= 255:
        said["cval"] = f"{datagen.cval}: with brightness_range expected from 0 to 255"
    for option, learned in _LEARNED.items():
        if getattr(datagen, option) and getattr(datagen, learned) is None:
            said[option] = "nothing is learned yet: call datagen.fit(images) first"
    return said


def replacement(
    datagen: Any,
    *,
    photometric: Collection[str] = ("imagery",),
    masks: Collection[str] = (),
    mask_fill: int | None = None,
) -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """Return what an `ImageDataGenerator` does to a batch, as a function of tensors.

    Parameters
    ----------
    datagen : ImageDataGenerator
        Holds the options. Fit it first where it has featurewise options.
    photometric : collection of str
        Names of the images whose colours change, and which are standardised.
    masks : collection of str
        Names of the images that hold class numbers: moved by the nearest pixel, nothing else. Each
        other image is moved and rescaled.
    mask_fill : int, optional
        What a mask holds beyond its border; needed where ``fill_mode="constant"``.

    Returns
    -------
    callable
        ``move(images, lines)``: a dict of images by name, each of shape (batch, height, width,
        channels) with values from 0 to 255 or class numbers, and the samples' lines of the table,
        shape (batch, 10), sampled for the first image → a dict of the same names and shapes:
        float32, masks in their own dtype. Other images have the proportions of the first. Images
        that were rescaled before are refused, in the graph too, but with TensorFlow alone: with
        other backends brightness makes them black.

    Raises
    ------
    ValueError
        If options cannot be carried over (the message names them all, and what to do), a name is
        both photometric and a mask, or `mask_fill` is missing.
    TypeError
        If `datagen` is no `ImageDataGenerator`.

    Examples
    --------
    >>> datagen = ImageDataGenerator(rotation_range=90, rescale=1 / 255)
    >>> move = replacement(datagen, masks=["cover"])
    >>> images = {"imagery": np.zeros((2, 64, 64, 3)), "cover": np.zeros((2, 32, 32, 1), "uint8")}
    >>> moved = move(images, transforms.sample(datagen, 2, (64, 64, 3), seed=525, epoch=0))
    >>> {name: (tuple(batch.shape), batch.dtype.name) for name, batch in moved.items()}
    {'imagery': ((2, 64, 64, 3), 'float32'), 'cover': ((2, 32, 32, 1), 'uint8')}
    """
    lost = [f"{option} ({why})" for option, why in _cannot_carry(datagen).items()]
    if lost:
        raise ValueError(
            f"datagen: expected options that can be carried over, found {'; '.join(lost)}"
        )
    transforms.check_roles(datagen, photometric, masks, mask_fill)

    def one(name: str, images: Any, lines: Any, first: Sequence[int]) -> Any:
        alike: dict[str, Any] = {"sampled_for": first, "fill_mode": datagen.fill_mode}
        if name in masks:
            return affine(images, lines, order=0, cval=mask_fill or 0, **alike)
        if name in photometric:
            _check_values(datagen, name, images)
        order = datagen.interpolation_order
        moved = ops.cast(affine(images, lines, order=order, cval=datagen.cval, **alike), "float32")
        if name in photometric:
            return _standardised(datagen, _coloured(moved, ops.cast(lines, "float32")))
        return moved * (datagen.rescale or 1)

    def move(images: Mapping[str, Any], lines: Any) -> dict[str, Any]:
        unknown = sorted({*photometric, *masks} - set(images))
        if unknown:
            raise ValueError(
                f"images: expected {unknown[0]!r}, which is photometric or a mask, "
                f"found {sorted(images)}"
            )
        tensors = {name: ops.convert_to_tensor(batch) for name, batch in images.items()}
        lines, first = ops.convert_to_tensor(lines), next(iter(tensors.values())).shape[1:3]
        return {name: one(name, batch, lines, first) for name, batch in tensors.items()}

    return move


def _check_values(datagen: Any, name: str, images: Any) -> None:
    """Refuse values of which brightness would make black: when the graph runs, it has them."""
    changes = datagen.brightness_range or datagen.channel_shift_range or datagen.rescale
    if not (changes and tf.is_tensor(images) and images.dtype.is_floating):
        return
    low, high = tf.reduce_min(images), tf.reduce_max(images)
    right = (low >= 0) & ((high <= 0) | (high > 1))
    if datagen.brightness_range is not None:
        right &= high <= 255
    advice = "leave rescale to the ImageDataGenerator (or is the batch black?)"
    found = [f"{name}: expected values from 0 to 255, found", low, "to", high, advice]
    tf.debugging.Assert(right, found)


def _coloured(images: Any, lines: Any) -> Any:
    """Shift the channels and change the brightness where the line says so, as the class does."""
    shift, brightness = (lines[:, i][:, None, None, None] for i in (8, 9))
    low, high = (f(images, axis=(1, 2, 3), keepdims=True) for f in (ops.amin, ops.amax))
    shifted = ops.minimum(ops.maximum(images + shift, low), high)
    images = ops.where(ops.isnan(shift), images, shifted)
    levels = ops.floor(ops.clip(images, 0, 255))
    brightened = ops.floor(ops.clip(brightness * levels, 0, 255))
    return ops.where(ops.isnan(brightness), images, brightened)


def _standardised(datagen: Any, images: Any) -> Any:
    """Do what ``standardize`` does."""
    one_image = {"axis": (1, 2, 3), "keepdims": True}
    images = images * (datagen.rescale or 1)
    if datagen.samplewise_center:
        images = images - ops.mean(images, **one_image)
    if datagen.samplewise_std_normalization:
        images = images / (ops.std(images, **one_image) + 1e-6)
    if datagen.featurewise_center:
        images = images - datagen.mean
    if datagen.featurewise_std_normalization:
        images = images / (datagen.std + 1e-6)
    if datagen.zca_whitening:
        flat = ops.reshape(images, (-1, math.prod(images.shape[1:])))
        white = ops.matmul(flat, ops.cast(datagen.zca_whitening_matrix, "float32"))
        images = ops.reshape(white, (-1, *images.shape[1:]))
    return images
