"""The transforms of an epoch, sampled at once, and the same transform for all images of a sample.

`ImageDataGenerator` samples a transform for each image that it reads, from NumPy's global random
state. `sample` follows the same options, and returns the parameters of a whole epoch as a table:
line *i* belongs to row *i*, and depends on the seed, the epoch and the row, on nothing else.
`SharedTransforms` applies a row's line to every image of the sample: imagery, relief, mask.

The lesson that builds it: 06 One transform for several images.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from helpers.fast import STATISTICS, apply, as_line, is_own
from helpers.warp import PARAMETERS, matrices

__all__ = ["PARAMETERS", "SharedTransforms", "move_points", "order_of_rows", "sample"]

ImageDataGenerator = tf.keras.preprocessing.image.ImageDataGenerator

# What tells the two random streams of an epoch apart.
_ORDER, _TRANSFORMS = 1, 2


def order_of_rows(count: int, *, seed: int, epoch: int) -> np.ndarray:
    """Return the shuffled rows of an epoch: each number below `count` once.

    Parameters
    ----------
    count : int
        Number of samples.
    seed, epoch : int
        From 0. All that the order depends on, besides `count`.

    Returns
    -------
    numpy.ndarray
        int64 of shape (count,).

    Examples
    --------
    >>> order_of_rows(5, seed=525, epoch=0)
    array([4, 3, 0, 2, 1])
    """
    return _random(seed, epoch, _ORDER).permutation(count)


def sample(datagen: Any, count: int, shape: Sequence[int], *, seed: int, epoch: int) -> np.ndarray:
    """Sample the transforms of a whole epoch, following the options of an `ImageDataGenerator`.

    Each parameter has the distribution that ``get_random_transform`` gives it
    (keras/src/legacy/preprocessing/image.py), from random numbers of its own: switching an option
    on leaves the other columns as they are.

    Parameters
    ----------
    datagen : ImageDataGenerator
        Holds the options.
    count : int
        Number of samples. A longer table begins with the same lines.
    shape : sequence of int
        Of one image, in the `data_format` of `datagen`. Shifts come in its pixels.
    seed, epoch : int
        From 0.

    Returns
    -------
    numpy.ndarray
        float64 of shape (count, 10), a column for each of `PARAMETERS`: angles in degrees, shifts
        in pixels, flips 0 or 1; NaN where nothing is to be done to the colours.

    Raises
    ------
    ValueError
        If an option holds what cannot be followed, or the seed or the epoch is no number from 0.
    TypeError
        If `datagen` is no `ImageDataGenerator`, or of a class that samples by itself.

    Examples
    --------
    >>> datagen = ImageDataGenerator(rotation_range=90, horizontal_flip=True)
    >>> table = sample(datagen, 480, (64, 64, 3), seed=525, epoch=0)
    >>> table.shape, table[7, :2].round(2).tolist()
    ((480, 10), [-43.26, 0.0])
    >>> shorter = sample(datagen, 5, (64, 64, 3), seed=525, epoch=0)
    >>> np.array_equal(table[:5], shorter, equal_nan=True)
    True
    """
    _check_sampler(datagen)
    height, width = shape[datagen.row_axis - 1], shape[datagen.col_axis - 1]
    uniform = _random(seed, epoch, _TRANSFORMS).random((count, len(PARAMETERS)))
    theta, tx, ty, shear, zx, zy, left_right, upside_down, shift, brightness = uniform.T
    low, high = datagen.zoom_range
    table = np.empty((count, len(PARAMETERS)))
    table[:] = as_line({})  # changes nothing
    if datagen.rotation_range:
        table[:, 0] = _symmetric(theta, datagen.rotation_range)
    # tx is sampled from height_shift_range and in parts of the height, and yet moves along the
    # columns: `apply_affine_transform` exchanges the axes.
    table[:, 1] = _shifts(tx, "height_shift_range", datagen.height_shift_range, height)
    table[:, 2] = _shifts(ty, "width_shift_range", datagen.width_shift_range, width)
    if datagen.shear_range:
        table[:, 3] = _symmetric(shear, datagen.shear_range)
    if not low == high == 1:
        table[:, 4], table[:, 5] = low + (high - low) * zx, low + (high - low) * zy
    table[:, 6] = (left_right < 0.5) * bool(datagen.horizontal_flip)
    table[:, 7] = (upside_down < 0.5) * bool(datagen.vertical_flip)
    if datagen.channel_shift_range:
        table[:, 8] = _symmetric(shift, datagen.channel_shift_range)
    if datagen.brightness_range is not None:
        low, high = datagen.brightness_range
        table[:, 9] = low + (high - low) * brightness
    return table


def move_points(points: np.ndarray, table: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Move points as their images move: key points, the corners of boxes.

    Parameters
    ----------
    points : numpy.ndarray
        Shape (rows, points, 2): x (column) and y (row) in pixels of the image, the centre of the
        pixel above on the left at (0, 0). A point that is NaN stays NaN.
    table : numpy.ndarray
        float64 of shape (rows, 10), as `sample` and `SharedTransforms.lines` return.
    shape : sequence of int
        Height and width of the images, those that the table was sampled for.

    Returns
    -------
    numpy.ndarray
        float64 of the shape of `points`. Points may lie beyond the border then.

    Raises
    ------
    ValueError
        If there are not as many lines as rows of points.

    Examples
    --------
    >>> table = np.array([as_line({"tx": 3, "flip_vertical": True})])
    >>> move_points(np.array([[[10.0, 0], [20, 31]]]), table, (32, 64)).tolist()
    [[[7.0, 31.0], [17.0, 0.0]]]
    """
    if points.ndim != 3 or points.shape[2] != 2 or len(points) != len(table):
        raise ValueError(
            f"points: expected shape ({len(table)}, points, 2) for {len(table)} lines, "
            f"found {points.shape}"
        )
    size = np.array(shape[:2])
    moves = matrices(table, *size)
    # A matrix leads from a pixel of the result, (row, column), to its source: here the way back.
    back = np.linalg.inv(moves[:, :, :2])
    moved = (points[:, :, ::-1] - moves[:, None, :, 2]) @ back.swapaxes(1, 2)
    flipped = table[:, None, [7, 6]] != 0  # upside down: rows; left and right: columns
    return np.where(flipped, size - 1 - moved, moved)[:, :, ::-1]


def _random(seed: int, epoch: int, stream: int) -> np.random.Generator:
    for name, value in (("seed", seed), ("epoch", epoch)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise ValueError(f"{name}: expected an integer from 0, found {value!r}")
    return np.random.default_rng([seed, epoch, stream])


def _symmetric(uniform: np.ndarray, limit: float) -> np.ndarray:
    return (2 * uniform - 1) * limit


def _shifts(uniform: np.ndarray, name: str, option: Any, side: int) -> np.ndarray:
    """Return shifts in pixels: from a range in parts or pixels, or from a list of either."""
    if np.ndim(option) == 0 and not option:
        return np.zeros_like(uniform)
    if isinstance(option, float):
        return _symmetric(uniform, option) * (side if option < 1 else 1)
    if isinstance(option, int | np.integer) and option > 0:
        choices = np.arange(option)  # an integer chooses among those below it
    elif np.ndim(option) == 1 and len(option):
        choices = np.asarray(option)
    else:
        raise ValueError(
            f"{name}: expected a float, a positive integer or a list of numbers, found {option!r}"
        )
    signed = np.concatenate([-choices, choices]).astype(float)
    parts = signed[(uniform * len(signed)).astype(int)]
    return parts * (side if np.max(option) < 1 else 1)


def _check_sampler(datagen: Any) -> None:
    if not isinstance(datagen, ImageDataGenerator):
        raise TypeError(f"datagen: expected an ImageDataGenerator, found {type(datagen).__name__}")
    if not is_own(datagen, "get_random_transform", ImageDataGenerator):
        raise TypeError(
            f"{type(datagen).__name__}.get_random_transform: expected that of ImageDataGenerator, "
            "found one of its own, whose random numbers come from NumPy's global state; sample "
            "a table yourself and pass it as sampler=lambda datagen, count, shape, seed, epoch: …"
        )


def check_roles(
    datagen: Any, photometric: Collection[str], masks: Collection[str], mask_fill: int | None
) -> None:
    """Raise ValueError where an image has two roles, or nothing fills a mask's border."""
    both = sorted(set(photometric) & set(masks))
    if both:
        raise ValueError(f"{both[0]!r}: expected in photometric or in masks, found in both")
    if masks and datagen.fill_mode == "constant" and mask_fill is None:
        raise ValueError(
            'mask_fill: expected a class number, since fill_mode="constant" fills a border, '
            "found None"
        )


class SharedTransforms:
    """One transform per sample, applied to each of the sample's images.

    The transform of a sample depends on the seed, the epoch and the row, and on nothing else: not
    on the batch size, the order, other threads, peeks, or NumPy's global random state.

    - Geometry (rotation, shifts, shear, zoom, flips) is the same for all images. Shifts scale
      with the image's size; those given in pixels count in pixels of the first image.
    - Brightness, channel shifts and standardisation (``preprocessing_function``, ``rescale``,
      samplewise and featurewise statistics) touch the images named in `photometric` only. Other
      images are rescaled; masks keep their values.
    - Masks are sampled at the nearest pixel, so that no new class number appears.
    - All frames of a clip (batch, time, height, width, channels) get the one transform.

    Where each of two images shall have a transform of its own, as in siamese pairs, make two of
    these with different seeds: ``left({"left": …}, rows, epoch) | right({"right": …}, rows,
    epoch)``. Their random numbers are independent.

    With ``fill_mode="wrap"`` images of different sizes differ by up to a pixel of the smaller one;
    the other modes are closer.

    Parameters
    ----------
    datagen : ImageDataGenerator
        Holds the options. Fit it first where it has featurewise options.
    seed : int
        From 0: where the random numbers start.
    photometric : collection of str, optional
        Names of the images whose colours may change: ``"imagery"`` when it is not given.
    masks : collection of str, optional
        Names of the images that hold class numbers: ``"cover"`` when it is not given.
    others : collection of str
        Names of one-channel images that are neither, such as heights: they are only moved. (A
        one-channel image that is named nowhere is refused: it may be a misspelled mask.)
    mask_fill : int, optional
        What a mask holds beyond its border; needed where ``fill_mode="constant"``.
    sampler : callable
        ``sampler(datagen, count, shape, seed=…, epoch=…)`` returns the table of an epoch: `sample`,
        or a function of your own that changes what it returns. The same arguments must give the
        same lines, and a larger `count` more of them.

    Raises
    ------
    ValueError
        If a name is both photometric and a mask, or `mask_fill` is missing.
    TypeError
        If `datagen` is of a class that samples by itself, and there is no sampler for it.

    Examples
    --------
    >>> datagen = ImageDataGenerator(horizontal_flip=True)
    >>> shared = SharedTransforms(datagen, seed=1, masks=["cover"])
    >>> images = {"imagery": np.zeros((2, 64, 64, 3)), "cover": np.zeros((2, 32, 32, 1))}
    >>> {name: batch.shape for name, batch in shared(images, rows=[7, 9], epoch=0).items()}
    {'imagery': (2, 64, 64, 3), 'cover': (2, 32, 32, 1)}
    """

    def __init__(
        self,
        datagen: Any,
        *,
        seed: int,
        photometric: Collection[str] | None = None,
        masks: Collection[str] | None = None,
        others: Collection[str] = (),
        mask_fill: int | None = None,
        sampler: Callable[..., np.ndarray] = sample,
    ) -> None:
        self._given = {"photometric": photometric or (), "masks": masks or (), "others": others}
        photometric = ("imagery",) if photometric is None else photometric
        masks = ("cover",) if masks is None else masks
        check_roles(datagen, photometric, masks, mask_fill)
        if sampler is sample:
            sample(datagen, 0, (1, 1, 1), seed=seed, epoch=0)  # what is wrong shows here
        self._changes_colours = bool(datagen.brightness_range or datagen.channel_shift_range)
        self._datagen, self._seed, self._sampler = datagen, seed, sampler
        self._photometric = frozenset(photometric)
        self._masks = frozenset(masks)
        self._named = self._photometric | self._masks | frozenset(others)
        self._mask_fill = mask_fill
        self._only_moved, self._for_masks = (_without_statistics(datagen) for _ in range(2))
        self._for_masks.interpolation_order, self._for_masks.rescale = 0, None
        self._for_masks.cval = datagen.cval if mask_fill is None else mask_fill
        self._tables: dict[Any, np.ndarray] = {}
        self._lock = threading.Lock()

    def lines(self, rows: Sequence[int] | np.ndarray, epoch: int, shape: Sequence[int]) -> Any:
        """Return the parameters of some rows.

        Parameters
        ----------
        rows, epoch : sequence of int, int
            From 0.
        shape : sequence of int
            Of one image, in whose pixels shifts are.

        Returns
        -------
        numpy.ndarray
            float64 of shape (rows, 10), columns as in `PARAMETERS`.
        """
        rows = np.asarray(rows)
        if rows.ndim != 1 or (rows.size and (rows.dtype.kind not in "iu" or rows.min() < 0)):
            raise ValueError(f"rows: expected a list of numbers from 0, found {rows.tolist()}")
        count = int(rows.max(initial=-1)) + 1
        key = (epoch, tuple(shape))
        with self._lock:  # several threads ask, and two epochs may overlap
            table = self._tables.pop(key, None)
            if table is None or len(table) < count:
                known = max(map(len, self._tables.values()), default=0)
                table = self._sampler(
                    self._datagen, max(count, known), shape, seed=self._seed, epoch=epoch
                )
            self._tables[key] = table
            while len(self._tables) > 4:
                del self._tables[next(iter(self._tables))]
        return table[rows.astype(int)]

    def __call__(
        self, images: Mapping[str, np.ndarray], rows: Sequence[int] | np.ndarray, epoch: int
    ) -> dict[str, np.ndarray]:
        """Transform a batch: a row's line, applied to each of its images.

        Parameters
        ----------
        images : mapping of str to numpy.ndarray
            Each of shape (batch, height, width, channels), or (batch, time, height, width,
            channels); values from 0 to 255 or class numbers.
        rows, epoch : sequence of int, int
            From 0; as many rows as images.

        Returns
        -------
        dict of str to numpy.ndarray
            The same names and shapes: float32, masks in their own dtype.

        Raises
        ------
        ValueError
            If a batch is not as long as `rows`, its images were rescaled before, a name that you
            gave is no image's, a one-channel image is named nowhere, a mask holds what would
            change, or images have other proportions than the first (a rotation would then show
            other places).
        """
        for name, batch in images.items():
            self._check(name, batch, len(rows))
        self._check_names(images)
        reference = next(iter(images.values())).shape[-3:]
        lines = self.lines(rows, epoch, reference)
        return {name: self._apply(name, batch, lines, reference) for name, batch in images.items()}

    def _apply(
        self, name: str, batch: np.ndarray, lines: np.ndarray, reference: tuple[int, ...]
    ) -> np.ndarray:
        datagen = self._datagen
        if name not in self._photometric:
            datagen = self._for_masks if name in self._masks else self._only_moved
            lines = lines.copy()
            lines[:, -2:] = np.nan  # channel shift and brightness
        frames = batch.shape[1] if batch.ndim == 5 else 1
        flat = batch.reshape(len(batch) * frames, *batch.shape[-3:])
        try:
            moved = apply(datagen, flat, lines.repeat(frames, axis=0), sampled_for=reference)
        except ValueError as error:
            raise ValueError(f"{name}: {str(error).removeprefix('images: ')}") from None
        moved = moved.reshape(batch.shape)
        return moved.astype(batch.dtype) if name in self._masks else moved

    def _check_names(self, images: Mapping[str, np.ndarray]) -> None:
        given = dict(self._given)
        if self._changes_colours and set(images) - self._named:  # perhaps the imagery, renamed
            given["photometric"] = self._photometric
        for option, names in given.items():
            unknown = sorted(set(names) - set(images))
            if unknown:
                raise ValueError(
                    f"{option}: expected names of images, {sorted(images)}, found {unknown[0]!r}"
                )

    def _check(self, name: str, batch: np.ndarray, count: int) -> None:
        if batch.ndim not in (4, 5) or len(batch) != count:
            raise ValueError(
                f"{name}: expected {count} images (batch, height, width, channels) or clips "
                f"(batch, time, height, width, channels), found shape {batch.shape}"
            )
        if name not in self._named and batch.shape[-3:][self._datagen.channel_axis - 1] == 1:
            raise ValueError(
                f"{name}: expected a one-channel image to be named in masks (class numbers), "
                f"photometric (colours) or others, found it in none"
            )
        fill = self._mask_fill if name in self._masks else None
        if fill is not None and np.asarray(fill).astype(batch.dtype) != fill:
            raise ValueError(
                f"mask_fill: expected a value of {batch.dtype} as {name}, found {fill}"
            )
        if name in self._photometric and batch.size and batch.dtype.kind == "f":
            self._check_values(name, float(batch.min()), float(batch.max()))

    def _check_values(self, name: str, low: float, high: float) -> None:
        changes = self._changes_colours or self._datagen.rescale
        if changes and (low < 0 or 0 < high <= 1):
            raise ValueError(
                f"{name}: expected values from 0 to 255, found {low:.3g} to {high:.3g}; leave "
                "rescale to the ImageDataGenerator of the transforms (or is the batch black?)"
            )


def _without_statistics(datagen: Any) -> Any:
    """Return a copy that moves pixels and rescales, and does nothing else to the values."""
    plain = copy.copy(datagen)
    for option in STATISTICS:
        setattr(plain, option, None)
    return plain
