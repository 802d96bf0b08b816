"""One random transform a sample, the same for every picture of it.

`ImageDataGenerator` draws a transform for each picture it reads. A sample with several pictures,
such as imagery, relief and a land-cover mask, needs one transform for all of them, each at its own
size. `SharedTransforms` draws it with the generator's own code, from a random stream of its own.
"""

from __future__ import annotations

import copy
import types
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

__all__ = ["SharedTransforms", "with_own_random"]

Parameters = dict[str, Any]


class SharedTransforms:
    """Draw one transform a sample and apply it to each of the sample's pictures.

    The transform of a sample depends on the seed, the epoch and the row, and on nothing else: not
    on the batch size, the order, other threads, peeks, or NumPy's global random state.

    - Geometry (rotation, shifts, shear, zoom, flips) is the same for all pictures. Shifts scale
      with the picture's size.
    - Brightness, channel shifts and standardisation (``preprocessing_function``, ``rescale``,
      samplewise and featurewise statistics) touch the pictures named in `photometric` only. Other
      pictures are rescaled; masks keep their values.
    - Masks are sampled at the nearest pixel, so that no new class number appears.

    Shifts of whole pixels count in pixels of the first picture. With ``fill_mode="wrap"`` pictures
    of different sizes differ by up to a pixel of the smaller one; the other modes are closer.

    Parameters
    ----------
    datagen : ImageDataGenerator
        Holds the options. Fit it first where it has featurewise options.
    seed : int
        Where the random stream starts.
    photometric : collection of str
        Names of the pictures whose colours may change.
    masks : collection of str
        Names of the pictures that hold class numbers.
    others : collection of str
        Names of one-channel pictures that are neither, such as heights: they are only moved. (A
        one-channel picture that is named nowhere is refused: it may be a mask misspelt.)
    mask_fill : int, optional
        What a mask holds beyond its border; needed where ``fill_mode="constant"``.

    Raises
    ------
    ValueError
        If a name is both photometric and a mask, or `mask_fill` is missing.
    TypeError
        If the generator is of a class of its own that draws through ``super()``.

    Examples
    --------
    >>> import tensorflow as tf
    >>> datagen = tf.keras.preprocessing.image.ImageDataGenerator(horizontal_flip=True)
    >>> transforms = SharedTransforms(datagen, seed=1, masks=["cover"])
    >>> pictures = {"imagery": np.zeros((2, 64, 64, 3)), "cover": np.zeros((2, 32, 32, 1))}
    >>> {name: batch.shape for name, batch in transforms(pictures, rows=[7, 9], epoch=0).items()}
    {'imagery': (2, 64, 64, 3), 'cover': (2, 32, 32, 1)}
    """

    def __init__(
        self,
        datagen: Any,
        *,
        seed: int,
        photometric: Collection[str] = ("imagery",),
        masks: Collection[str] = ("cover",),
        others: Collection[str] = (),
        mask_fill: int | None = None,
    ) -> None:
        both = sorted(set(photometric) & set(masks))
        if both:
            raise ValueError(f"{both[0]!r}: expected in photometric or in masks, found in both")
        if masks and datagen.fill_mode == "constant" and mask_fill is None:
            raise ValueError(
                'mask_fill: expected a class number, since fill_mode="constant" draws a border, '
                "found None"
            )
        with_own_random(datagen.get_random_transform, np.random.RandomState(0))  # or it refuses
        self._datagen = datagen
        self._seed = seed
        self._photometric = frozenset(photometric)
        self._masks = frozenset(masks)
        self._named = self._photometric | self._masks | frozenset(others)
        self._mask_fill = mask_fill
        self._mask_datagen = copy.copy(datagen)
        self._mask_datagen.interpolation_order = 0
        self._mask_datagen.cval = datagen.cval if mask_fill is None else mask_fill

    def draw(self, shape: tuple[int, ...], row: int, epoch: int) -> Parameters:
        """Draw the transform of one sample, for a picture of this shape.

        Parameters
        ----------
        shape : tuple of int
            Of one picture, in the generator's ``data_format``. Shifts are in its pixels.
        row : int
            The sample's number.
        epoch : int
            Counted from 0.

        Returns
        -------
        dict
            What ``ImageDataGenerator.get_random_transform`` returns.
        """
        words = np.random.SeedSequence([self._seed, epoch, row])
        random = np.random.RandomState(np.random.MT19937(words))
        return with_own_random(self._datagen.get_random_transform, random)(shape)

    def apply(
        self, name: str, picture: np.ndarray, parameters: Parameters, drawn_for: tuple[int, ...]
    ) -> np.ndarray:
        """Apply a transform to one of a sample's pictures.

        Parameters
        ----------
        name : str
            The picture's name.
        picture : numpy.ndarray
            One picture, values from 0 to 255 or class numbers. It is left as it is.
        parameters : dict
            What `draw` returned.
        drawn_for : tuple of int
            The shape that it was drawn for.

        Returns
        -------
        numpy.ndarray
            Of the same shape: float32, or the mask's own dtype.
        """
        own = dict(parameters)
        # tx moves along the columns and ty along the rows, although get_random_transform draws tx
        # from height_shift_range: apply_affine_transform swaps the axes after the fact.
        for shift, axis in (("tx", self._datagen.col_axis - 1), ("ty", self._datagen.row_axis - 1)):
            own[shift] = parameters[shift] * picture.shape[axis] / drawn_for[axis]
        if name not in self._photometric:
            own |= {"brightness": None, "channel_shift_intensity": None}
        values = picture.astype("float32")
        if name in self._masks:
            return self._mask_datagen.apply_transform(values, own).astype(picture.dtype)
        values = self._datagen.apply_transform(values, own)
        if name in self._photometric:
            return self._datagen.standardize(values)
        return values * np.float32(self._datagen.rescale or 1)

    def __call__(
        self, pictures: Mapping[str, np.ndarray], rows: np.ndarray, epoch: int
    ) -> dict[str, np.ndarray]:
        """Transform a batch: one draw a row, applied to each of its pictures.

        Parameters
        ----------
        pictures : mapping of str to numpy.ndarray
            Each of shape (batch, height, width, channels), values from 0 to 255 or class numbers.
        rows : array of int
            Shape (batch,).
        epoch : int
            Counted from 0.

        Returns
        -------
        dict of str to numpy.ndarray
            The same names and shapes.

        Raises
        ------
        ValueError
            If a batch is not as long as `rows`, its pictures were rescaled before, a one-channel
            picture is named nowhere, a mask holds what would change, or pictures have other
            proportions than the first (a turn would then show other places).
        """
        if len(rows) and min(rows) < 0:
            raise ValueError(f"rows: expected numbers from 0, found {min(rows)}")
        for name, batch in pictures.items():
            self._check(name, batch, len(rows))
        first, reference = next((name, batch.shape[1:]) for name, batch in pictures.items())
        for name, batch in pictures.items():
            self._check_proportions(name, batch.shape[1:], first, reference)
        drawn = [self.draw(reference, int(row), epoch) for row in rows]
        return {
            name: np.stack(
                [
                    self.apply(name, picture, parameters, reference)
                    for picture, parameters in zip(batch, drawn, strict=True)
                ]
            )
            if len(batch)
            else batch
            for name, batch in pictures.items()
        }

    def _check(self, name: str, batch: np.ndarray, count: int) -> None:
        if batch.ndim != 4 or len(batch) != count:
            raise ValueError(
                f"{name}: expected {count} pictures (batch, height, width, channels), "
                f"found shape {batch.shape}"
            )
        if name not in self._named and batch.shape[self._datagen.channel_axis] == 1:
            raise ValueError(
                f"{name}: expected a one-channel picture to be named in masks (class numbers), "
                f"photometric (colours) or others, found it in none"
            )
        if name in self._masks:
            self._check_mask(name, batch)
        elif name in self._photometric and batch.size and batch.dtype.kind == "f":
            self._check_values(name, float(batch.min()), float(batch.max()))

    def _check_mask(self, name: str, batch: np.ndarray) -> None:
        if batch.size and np.abs(batch).max() > 2**24:
            raise ValueError(
                f"{name}: expected class numbers up to {2**24} (float32 holds no more), "
                f"found {np.abs(batch).max()}"
            )
        fill = self._mask_fill
        if fill is not None and np.asarray(fill).astype(batch.dtype) != fill:
            raise ValueError(
                f"mask_fill: expected a value of {batch.dtype} as {name}, found {fill}"
            )

    def _check_values(self, name: str, low: float, high: float) -> None:
        changes = self._datagen.brightness_range or self._datagen.channel_shift_range
        if (changes or self._datagen.rescale) and (low < 0 or 0 < high <= 1):
            raise ValueError(
                f"{name}: expected values from 0 to 255, found {low:.3g} to {high:.3g}; leave "
                "rescale to the ImageDataGenerator of the transforms (or is the batch black?)"
            )

    def _check_proportions(
        self, name: str, shape: tuple[int, ...], first: str, reference: tuple[int, ...]
    ) -> None:
        (height, width), (first_height, first_width) = (
            (sides[self._datagen.row_axis - 1], sides[self._datagen.col_axis - 1])
            for sides in (shape, reference)
        )
        # Rounding may cost the smaller picture half a pixel: 32 × 48 beside 65 × 97 is alike.
        small, large = sorted([(height, width), (first_height, first_width)])
        if abs(small[1] - large[1] * small[0] / large[0]) > 0.75:
            raise ValueError(
                f"{name}: expected the proportions of {first} ({first_height} × {first_width}), "
                f"found {height} × {width}"
            )


class _NumpyWithOwnRandom:
    """NumPy, except for ``random``."""

    def __init__(self, random: np.random.RandomState) -> None:
        self.random = random

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def with_own_random(method: Any, random: np.random.RandomState) -> Any:
    """Return a method that draws from `random` where its code says ``np.random``.

    `ImageDataGenerator.get_random_transform` draws from NumPy's global state, which anything else
    in the process may draw from, or seed, at the same time. Running the same code with another
    ``np`` gives the same numbers as that state would, in whatever version of Keras, without
    touching it.

    Parameters
    ----------
    method : bound method
        Of Python code that calls NumPy by the name ``np``.
    random : numpy.random.RandomState
        What it draws from.

    Returns
    -------
    bound method
        Of the same object.

    Raises
    ------
    TypeError
        If the method calls ``super()``: what that draws is out of reach.

    Examples
    --------
    >>> import tensorflow as tf
    >>> datagen = tf.keras.preprocessing.image.ImageDataGenerator(rotation_range=90)
    >>> random = np.random.RandomState(0)
    >>> own = with_own_random(datagen.get_random_transform, random)((64, 64, 3))
    >>> own == datagen.get_random_transform((64, 64, 3), seed=0)
    True
    """
    code = method.__func__
    if "__class__" in code.__code__.co_freevars:
        raise TypeError(
            f"{code.__qualname__}: expected a method that draws by itself, found one that calls "
            "super(), whose draws would come from NumPy's global random state"
        )
    names = {**code.__globals__, "np": _NumpyWithOwnRandom(random)}
    function = types.FunctionType(
        code.__code__, names, code.__name__, code.__defaults__, code.__closure__
    )
    return types.MethodType(function, method.__self__)
