"""`ImageDataGenerator`'s transforms without it: one composed affine per image, in the graph.

Keras marks the class deprecated. What replaces its geometry is not a chain of layers, each of which
resamples, but one affine transform per image: `affine` applies it with operations of `keras.ops`.
Its parameters come from a table (`helpers.transforms.sample`), so nothing random happens in the
graph. `Replacement` does what a given `ImageDataGenerator` does, and names each option that it
cannot carry over.

On the TensorFlow backend all of it runs in ``Dataset.map``. On any backend `affine` and
`Replacement` take batches of that backend, or stand in the ``call`` of a layer.

The lesson that builds it: 10 Leaving ImageDataGenerator.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from helpers.fast import is_own
from helpers.transforms import order_of_rows, sample
from helpers.warp import FILL_MODES

__all__ = ["Replacement", "affine", "cannot_carry"]

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
        Height and width of the images that the table was sampled for, where it is other than
        these. Shifts scale with the size.
    order : int
        1 blends four pixels (bilinear), 0 takes the nearest one (masks).
    fill_mode, cval : str, float
        What lies beyond the border, as in `ImageDataGenerator`.

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
    matrix = _matrices(ops.convert_to_tensor(lines), height, width, sampled_for)
    source = ops.cast(images, "float32")
    if fill_mode == "wrap":
        moved = _wrapped(source, matrix, order)
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
        x, y = _places(matrix, height, width)
        inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        moved = ops.where(inside[..., None], moved, cval)
    return moved if order else ops.cast(moved, images.dtype)


def _matrices(lines: Any, height: int, width: int, sampled_for: Sequence[int] | None) -> Any:
    """Return for each line the six numbers that lead from a pixel (x, y) to its source.

    The product rotation · shift · shear · zoom about the centre, multiplied out, and the flips that
    come after it. As in the class, the centre's coordinates are exchanged where an image is not
    square.
    """
    theta, tx, ty, shear, zx, zy, mirrored, upside_down = (lines[:, i] for i in range(8))
    if sampled_for is not None:
        first_height, first_width = sampled_for[:2]
        # Rounding may cost the smaller image half a pixel: 32 × 48 beside 65 × 97 is alike.
        (_, small), (_, large) = pair = sorted([(height, width), (first_height, first_width)])
        if abs(small - large * pair[0][0] / pair[1][0]) > 0.75:
            raise ValueError(
                f"images: expected the proportions of {first_height} × {first_width}, for which "
                f"the transforms were sampled, found {height} × {width}"
            )
        tx, ty = tx * (width / first_width), ty * (height / first_height)
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


def _places(matrix: Any, height: int, width: int) -> tuple[Any, Any]:
    """Return where each pixel comes from: x and y, each of shape (batch, height, width)."""
    x = ops.cast(ops.arange(width), matrix.dtype)[None, None, :]
    y = ops.cast(ops.arange(height), matrix.dtype)[None, :, None]
    a, b, c, d, e, f = (matrix[:, i][:, None, None] for i in range(6))
    return a * x + b * y + c, d * x + e * y + f


def _wrapped(images: Any, matrix: Any, order: int) -> Any:
    """Warp with SciPy's "wrap": the period is one pixel short, the last falls on the first."""
    height, width, channels = images.shape[1:]
    sides = (width, height)
    places = [
        ops.where(
            (place < 0) | (place > side - 1),
            place - (side - 1) * ops.floor(place / max(side - 1, 1)),
            place,
        )
        for place, side in zip(_places(matrix, height, width), sides, strict=True)
    ]
    flat = ops.reshape(images, (-1, height * width, channels))

    def pixels(x: Any, y: Any) -> Any:
        x, y = ops.clip(x, 0, width - 1), ops.clip(y, 0, height - 1)
        number = ops.reshape(ops.cast(y * width + x, "int32"), (-1, height * width, 1))
        return ops.reshape(ops.take_along_axis(flat, number, axis=1), (-1, height, width, channels))

    if order == 0:
        return pixels(*(ops.floor(place + 0.5) for place in places))
    left, top = (ops.floor(place) for place in places)
    right, below = (
        ops.cast(place - corner, "float32")[..., None]
        for place, corner in zip(places, (left, top), strict=True)
    )
    above = pixels(left, top) * (1 - right) + pixels(left + 1, top) * right
    beneath = pixels(left, top + 1) * (1 - right) + pixels(left + 1, top + 1) * right
    return above * (1 - below) + beneath * below


def cannot_carry(datagen: Any) -> dict[str, str]:
    """Name each option of an `ImageDataGenerator` that `Replacement` cannot carry over, and why.

    Parameters
    ----------
    datagen : ImageDataGenerator
        Holds the options.

    Returns
    -------
    dict of str to str
        The option or method → what to do in place of it. Empty where all can be carried over.

    Raises
    ------
    TypeError
        If `datagen` is no `ImageDataGenerator`.

    Examples
    --------
    >>> datagen = ImageDataGenerator(rotation_range=90, shear_range=10, interpolation_order=3)
    >>> cannot_carry(datagen)
    {'interpolation_order': '3: only 0 and 1 run in the graph'}
    """
    said: dict[str, str] = {}
    if not isinstance(datagen, ImageDataGenerator):
        raise TypeError(f"datagen: expected an ImageDataGenerator, found {type(datagen).__name__}")
    for method in ("get_random_transform", "apply_transform", "standardize"):
        if not is_own(datagen, method, ImageDataGenerator):
            said[method] = "a method of your own: write it with keras.ops, in a map of its own"
    if datagen.preprocessing_function:
        said["preprocessing_function"] = (
            "a Python function on arrays: write it with keras.ops, in a map after this one"
        )
    if datagen.interpolation_order not in (0, 1):
        said["interpolation_order"] = (
            f"{datagen.interpolation_order}: only 0 and 1 run in the graph"
        )
    if datagen.fill_mode not in FILL_MODES:
        said["fill_mode"] = f"{datagen.fill_mode!r}: only {', '.join(FILL_MODES)} are known"
    if datagen.data_format != "channels_last":
        said["data_format"] = f"{datagen.data_format!r}: transpose the images to channels_last"
    if np.dtype(datagen.dtype) != np.float32:
        said["dtype"] = f"{datagen.dtype}: the result is float32"
    if datagen._validation_split:
        said["validation_split"] = "split the rows or the table yourself, before anything is read"
    if datagen.brightness_range is not None and not 0 <= datagen.cval <= 255:
        said["cval"] = f"{datagen.cval}: with brightness_range expected from 0 to 255"
    for option, learned in (
        ("featurewise_center", "mean"),
        ("featurewise_std_normalization", "std"),
        ("zca_whitening", "zca_whitening_matrix"),
    ):
        if getattr(datagen, option) and getattr(datagen, learned) is None:
            said[option] = "nothing is learned yet: call datagen.fit(images) first"
    return said


class Replacement:
    """What an `ImageDataGenerator` does to a batch, as a function of tensors without any state.

    Parameters
    ----------
    datagen : ImageDataGenerator
        Holds the options. Fit it first where it has featurewise options.
    seed : int
        From 0: where the random numbers start.
    photometric : collection of str
        Names of the images whose colours change, and which are standardised.
    masks : collection of str
        Names of the images that hold class numbers: moved by the nearest pixel, nothing else. Each
        other image is moved and rescaled.
    mask_fill : int, optional
        What a mask holds beyond its border; needed where ``fill_mode="constant"``.
    without : collection of str
        Options that you give up on purpose, out of those that `cannot_carry` names.

    Raises
    ------
    ValueError
        If an option cannot be carried over and is not in `without`; the message names them all.
        Or if a name is both photometric and a mask, or `mask_fill` is missing.

    Examples
    --------
    >>> datagen = ImageDataGenerator(rotation_range=90, horizontal_flip=True, rescale=1 / 255)
    >>> replacement = Replacement(datagen, seed=525, masks=["cover"])
    >>> lines = replacement.table(2, (64, 64), epoch=0)
    >>> images = {"imagery": np.zeros((2, 64, 64, 3)), "cover": np.zeros((2, 32, 32, 1), "uint8")}
    >>> moved = replacement(images, lines)
    >>> {name: (tuple(batch.shape), batch.dtype.name) for name, batch in moved.items()}
    {'imagery': ((2, 64, 64, 3), 'float32'), 'cover': ((2, 32, 32, 1), 'uint8')}
    >>> batches = replacement.rows(5, (64, 64), epochs=3, batch_size=2)
    >>> len(batches), [rows.tolist() for rows, _ in batches.take(4).as_numpy_iterator()]
    (9, [[4, 3], [0, 2], [1], [3, 0]])
    """

    def __init__(
        self,
        datagen: Any,
        *,
        seed: int,
        photometric: Collection[str] = ("imagery",),
        masks: Collection[str] = (),
        mask_fill: int | None = None,
        without: Collection[str] = (),
    ) -> None:
        lost = {
            option: why for option, why in cannot_carry(datagen).items() if option not in without
        }
        if lost:
            raise ValueError(
                "datagen: expected options that can be carried over, found "
                + "; ".join(f"{option} ({why})" for option, why in lost.items())
            )
        both = sorted(set(photometric) & set(masks))
        if both:
            raise ValueError(f"{both[0]!r}: expected in photometric or in masks, found in both")
        if masks and datagen.fill_mode == "constant" and mask_fill is None:
            raise ValueError(
                'mask_fill: expected a class number, since fill_mode="constant" fills a border, '
                "found None"
            )
        self._datagen, self._seed, self._mask_fill = datagen, seed, mask_fill
        self._photometric, self._masks = frozenset(photometric), frozenset(masks)

    def table(self, count: int, shape: Sequence[int], *, epoch: int) -> np.ndarray:
        """Return the parameters of an epoch: `helpers.transforms.sample` with this seed.

        Parameters
        ----------
        count, epoch : int
            Number of samples; the epoch, from 0.
        shape : sequence of int
            Height and width of the first image, in whose pixels shifts are.

        Returns
        -------
        numpy.ndarray
            float64 of shape (count, 10). Line *i* belongs to row *i*.
        """
        return sample(self._datagen, count, (*shape[:2], 3), seed=self._seed, epoch=epoch)

    def rows(
        self,
        count: int,
        shape: Sequence[int],
        *,
        epochs: int,
        batch_size: int = 32,
        shuffle: bool = True,
    ) -> Any:
        """Return a dataset of the rows of some epochs, each with its line of that epoch.

        Rows are numbers, so shuffling them needs no buffer of images: a map looks up or reads
        what belongs to them. Their order is that of `helpers.transforms.order_of_rows`.

        Parameters
        ----------
        count : int
            Number of samples.
        shape : sequence of int
            Height and width of the first image.
        epochs, batch_size : int
            How many epochs follow each other, and samples in a batch. The last batch of an epoch
            holds what is left.
        shuffle : bool
            Take another order each epoch.

        Returns
        -------
        tf.data.Dataset
            Batches ``(rows, lines)`` of known length: int64 of shape (batch,), float64 of shape
            (batch, 10). Pass ``fit`` the batches of *one* epoch as ``steps_per_epoch``, so that
            each epoch goes on where the last one stopped.
        """
        tables = [self.table(count, shape, epoch=epoch) for epoch in range(epochs)]
        orders = [
            order_of_rows(count, seed=self._seed, epoch=epoch) if shuffle else np.arange(count)
            for epoch in range(epochs)
        ]
        pairs = zip(orders, tables, strict=True)
        lines = np.stack([table[order] for order, table in pairs])
        by_epoch = tf.data.Dataset.from_tensor_slices((np.stack(orders), lines))
        batches = by_epoch.flat_map(
            lambda *epoch: tf.data.Dataset.from_tensor_slices(epoch).batch(batch_size)
        )
        total = epochs * math.ceil(count / batch_size)
        return batches.apply(tf.data.experimental.assert_cardinality(total))

    def __call__(self, images: Mapping[str, Any], lines: Any) -> dict[str, Any]:
        """Transform a batch.

        Parameters
        ----------
        images : mapping of str to tensor
            Each of shape (batch, height, width, channels); values from 0 to 255 or class numbers.
            The table was sampled for the first.
        lines : tensor
            Shape (batch, 10): the lines of these samples.

        Returns
        -------
        dict of str to tensor
            The same names and shapes: float32, masks in their own dtype.

        Raises
        ------
        ValueError
            If a name that you gave is no image's, or an image has other proportions than the first.
        """
        unknown = sorted((self._photometric | self._masks) - set(images))
        if unknown:
            raise ValueError(
                f"images: expected {unknown[0]!r}, which is photometric or a mask, "
                f"found {sorted(images)}"
            )
        lines = ops.convert_to_tensor(lines)
        first = next(iter(images.values())).shape[1:3]
        return {name: self._moved(name, batch, lines, first) for name, batch in images.items()}

    def _moved(self, name: str, batch: Any, lines: Any, first: Sequence[int]) -> Any:
        datagen, fill = self._datagen, self._mask_fill
        is_mask = name in self._masks
        moved = affine(
            ops.convert_to_tensor(batch),
            lines,
            sampled_for=first,
            order=0 if is_mask else datagen.interpolation_order,
            fill_mode=datagen.fill_mode,
            cval=datagen.cval if fill is None or not is_mask else fill,
        )
        if is_mask:
            return moved
        moved = ops.cast(moved, "float32")
        if name in self._photometric:
            return _standardised(datagen, _coloured(moved, ops.cast(lines, "float32")))
        return moved * (datagen.rescale or 1)


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
    """Do what ``standardize`` does, except for a `preprocessing_function`."""
    one_image = {"axis": (1, 2, 3), "keepdims": True}
    images = images * (datagen.rescale or 1)
    if datagen.samplewise_center:
        images = images - ops.mean(images, **one_image)
    if datagen.samplewise_std_normalization:
        images = images / (ops.std(images, **one_image) + 1e-6)
    if datagen.featurewise_center and datagen.mean is not None:
        images = images - datagen.mean
    if datagen.featurewise_std_normalization and datagen.std is not None:
        images = images / (datagen.std + 1e-6)
    if datagen.zca_whitening and datagen.zca_whitening_matrix is not None:
        flat = ops.reshape(images, (-1, math.prod(images.shape[1:])))
        white = ops.matmul(flat, ops.cast(datagen.zca_whitening_matrix, "float32"))
        images = ops.reshape(white, (-1, *images.shape[1:]))
    return images
