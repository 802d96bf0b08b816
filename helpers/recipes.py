"""A pipeline of recipes: a generator says what to make, parallel workers make it.

A generator runs in one thread. So it should do little: name the rows of a batch and draw their
transforms. That is a *recipe*. Reading, decoding, warping and scaling are work that many threads
can share, because OpenCV and NumPy let go of the interpreter's lock meanwhile.

`Recipes` draws what a flow of ``ImageDataGenerator`` would draw, `Pictures` reads by row, and
`from_recipes` cooks batches in parallel and in order.
"""

from __future__ import annotations

import copy
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from helpers.buffers import empty
from helpers.datasets import BatchError, fit_batch, from_batches
from helpers.fast import draw_transforms

__all__ = ["Pictures", "Recipes", "from_recipes"]


class Recipes:
    """Whole epochs of recipes: the rows of each batch and a transform for each row.

    They are those of ``datagen.flow(…, batch_size, shuffle, seed)``: batch *b* of epoch *e* has
    the same rows and the same transforms as the flow's, and depends on the seed, on *e* and on
    *b*, and on nothing else. Each call starts the next epoch.

    Parameters
    ----------
    datagen : ImageDataGenerator
        Draws the transforms.
    count : int
        Number of samples.
    shape : tuple of int
        Of one picture, in the generator's ``data_format``. Shifts are drawn in its pixels.
    batch_size : int
        Samples in a batch. The last batch of an epoch holds what is left.
    shuffle : bool
        Draw a new order each epoch.
    seed : int
        Where the random numbers start.

    Raises
    ------
    ValueError
        If `count` or `batch_size` is below 1, or the seed is missing.

    Examples
    --------
    >>> datagen = tf.keras.preprocessing.image.ImageDataGenerator(horizontal_flip=True)
    >>> recipes = Recipes(datagen, 5, shape=(64, 64, 3), batch_size=2, seed=0)
    >>> [(rows.tolist(), transforms.shape) for rows, transforms in recipes()]
    [([2, 0], (2, 10)), ([1, 3], (2, 10)), ([4], (1, 10))]
    """

    def __init__(
        self,
        datagen: Any,
        count: int,
        *,
        shape: tuple[int, ...],
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int,
    ) -> None:
        for name, value in (("count", count), ("batch_size", batch_size)):
            if value < 1:
                raise ValueError(f"{name}: expected 1 or more, found {value}")
        if seed is None:
            raise ValueError("seed: expected an int, found None")
        self._datagen = datagen
        self._count = count
        self._shape = tuple(shape)
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._seed = seed
        self._epochs_started = 0

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-self._count // self._batch_size)

    def __call__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Start the next epoch and return an iterator over its recipes."""
        epoch = self._epochs_started
        self._epochs_started += 1
        return self._recipes(epoch)

    def peek(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the first recipe of the next epoch without starting it."""
        return next(self._recipes(self._epochs_started))

    def _recipes(self, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = np.arange(self._count)
        random = np.random.RandomState(0)
        for batch in range(len(self)):
            # A flow seeds NumPy's global state with its seed plus the batches seen, and draws the
            # order before an epoch's first batch (keras/src/legacy/preprocessing/image.py,
            # `Iterator._flow_index`).
            random.seed(self._seed + epoch * len(self) + batch)
            if batch == 0 and self._shuffle:
                order = random.permutation(self._count)
            rows = order[batch * self._batch_size : (batch + 1) * self._batch_size]
            yield rows, draw_transforms(self._datagen, len(rows), self._shape, random)


class Pictures:
    """Picture files by row: ``pictures[rows]`` reads and decodes a batch.

    The values are those of a flow over the same files: OpenCV decodes what it decodes alike (PNG
    and JPEG), and Keras' ``load_img`` the rest: other formats and sizes, CMYK, colours to grey.

    Parameters
    ----------
    paths : sequence of str or Path
        Picture files. Position 0 is row 0.
    shape : tuple of int
        (height, width, channels) of each picture: 1 channel for grey, 3 for RGB, 4 for RGBA. A
        file of another size is resized to the nearest pixel, as ``target_size`` does in a flow.

    Raises
    ------
    ValueError
        If the shape is not (height, width, 1, 3 or 4).
    FileNotFoundError
        If a path is not a file.

    What is wrong with a file shows when its row is read: one that is no whole picture, or grey with
    more than 8 bits, raises ValueError. A row that is not there raises IndexError.

    Examples
    --------
    >>> from helpers import tiles
    >>> imagery = Pictures(tiles.paths("imagery", "test"), (64, 64, 3))
    >>> imagery[[7, 2]].shape, imagery[[7, 2]].dtype
    ((2, 64, 64, 3), dtype('uint8'))
    """

    def __init__(self, paths: Sequence[str | Path], shape: tuple[int, int, int]) -> None:
        if len(shape) != 3 or shape[2] not in (1, 3, 4):
            raise ValueError(f"shape: expected (height, width, 1, 3 or 4), found {shape}")
        for row, path in enumerate(paths):
            if not Path(path).is_file():
                raise FileNotFoundError(f"row {row}: expected a picture file, found none at {path}")
        self._paths = [str(path) for path in paths]
        self.shape = (len(self._paths), *shape)
        self._kept: np.ndarray | None = None
        self._plain: set[int] = set()  # rows of 8-bit RGB files, known since their first reading

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._paths)

    def __getitem__(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Read and decode the pictures of these rows: uint8, (rows, height, width, channels)."""
        rows = np.asarray(rows)
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise TypeError(
                f"rows: expected a list of row numbers, found {rows.dtype} of shape {rows.shape}"
            )
        if rows.size and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(
                f"rows: expected 0 to {len(self) - 1}, found {rows.min()} to {rows.max()}"
            )
        batch = empty((len(rows), *self.shape[1:]), np.uint8)
        if self._kept is not None and rows.size:
            return np.take(self._kept, rows, axis=0, out=batch, mode="clip")
        for place, row in zip(batch, rows.tolist(), strict=True):
            place[...] = self._read(row)
        return batch

    def in_memory(self) -> Pictures:
        """Return the same pictures, read and decoded once, all of them kept in memory."""
        twin = copy.copy(self)
        twin._kept = kept = np.empty(self.shape, np.uint8)

        def keep(row: int) -> None:
            kept[row] = self._read(row)

        with ThreadPoolExecutor() as threads:
            for _ in threads.map(keep, range(len(self))):
                pass  # an error in a thread is raised here
        return twin

    def _read(self, row: int) -> np.ndarray:
        height, width, channels = self.shape[1:]
        if self._kept is not None:
            return self._kept[row]
        if row in self._plain:  # OpenCV alone is faster from a file than from memory
            found = cv2.imread(self._paths[row], _PLAIN)
            if found is not None and found.shape == self.shape[1:]:
                return found
        encoded = np.fromfile(self._paths[row], np.uint8)
        # Unchanged: turned neither by the camera's orientation nor to eight bits, as in a flow.
        found = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) if _is_decoded_alike(encoded) else None
        if found is not None and found.dtype == np.uint8 and found.shape[:2] == (height, width):
            stored = 1 if found.ndim == 2 else found.shape[2]
            if stored == channels == 1:
                return found.reshape(height, width, 1)
            if (stored, channels) in _COLOUR_ORDERS:
                if stored == channels == 3:
                    self._plain.add(row)
                return cv2.cvtColor(found, _COLOUR_ORDERS[stored, channels])
        mode = {1: "grayscale", 3: "rgb", 4: "rgba"}[channels]
        try:
            picture = tf.keras.utils.load_img(
                self._paths[row], color_mode=mode, target_size=(height, width)
            )
            values = np.asarray(picture)  # Pillow decodes as late as it can
        except OSError:  # that of Pillow names the place in memory, not the file
            raise ValueError(
                f"row {row}: expected a picture in {self._paths[row]}, found none, or half of one"
            ) from None
        if values.dtype != np.uint8:
            raise ValueError(
                f"row {row}: expected 8 bits a channel, found {picture.mode} in {self._paths[row]}"
            )
        return values.reshape(height, width, channels)


def _is_decoded_alike(encoded: np.ndarray) -> bool:
    """Whether OpenCV and Pillow decode a file to the same values: PNG, and JPEG without CMYK."""
    file = encoded.data
    if file[:4] == b"\x89PNG":
        return True
    # A JPEG file is a row of segments: 0xFF, what it is, its length. That of the frame's kind
    # (0xC0 and up) holds the number of colours at place 9 (ITU-T T.81, B.2.2).
    place = 2 if file[:2] == b"\xff\xd8" else len(file)
    while place + 9 < len(file):
        kind, length = file[place + 1], int.from_bytes(file[place + 2 : place + 4], "big")
        if kind in (0xC0, 0xC1, 0xC2):
            return file[place + 9] in (1, 3)
        place += 2 + length
    return False


# Eight bits, and not turned by the camera's orientation, as in a flow.
_PLAIN = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION

# OpenCV's order of channels is the reverse of everyone else's: (stored, wanted) channels.
_COLOUR_ORDERS = {
    (1, 3): cv2.COLOR_GRAY2RGB,
    (3, 3): cv2.COLOR_BGR2RGB,
    (4, 3): cv2.COLOR_BGRA2RGB,
    (4, 4): cv2.COLOR_BGRA2RGBA,
}


def from_recipes(
    recipes: Any,
    cook: Callable[..., Any],
    *,
    workers: int | None = None,
    epochs: int | None = 1,
    signature: Any = None,
) -> tf.data.Dataset:
    """Return a dataset of the batches that ``cook(*recipe)`` makes, in the order of the recipes.

    Parameters
    ----------
    recipes : callable
        Called once an epoch; returns an iterable of recipes, each a tuple of arrays. With
        ``len()``, the number of batches in an epoch, and ``peek()``, as `Recipes` has them.
    cook : callable
        ``cook(rows, transforms)``, or whatever the recipes hold, returns the batch in the
        structure that you want: tuples and dicts of arrays. Several threads call it at once, so
        it must not change anything outside, and its random numbers belong in the recipe.
    workers : int, optional
        Batches that are cooked at the same time; one for each core when it is not given.
    epochs : int or None
        How many epochs a pass through the dataset holds. With None it never ends: for
        ``fit(…, steps_per_epoch=len(recipes))``, where the workers then need not stop between one
        epoch and the next.
    signature : nest of tf.TensorSpec, optional
        The structure, shapes and dtypes of each batch. Taken from the first one when it is not
        given.

    Returns
    -------
    tf.data.Dataset
        With that signature and a known cardinality, prefetched.

    Raises
    ------
    TypeError
        If `recipes` has no ``len()`` or no ``peek()``.
    ValueError
        If `workers`, `epochs` or the number of batches is below 1.
    BatchError
        If the first batch does not fit the signature; at once. A later one, or an epoch with more
        or fewer recipes than ``len(recipes)``, stops the iteration.

    Examples
    --------
    >>> from helpers.fast import FastImageDataGenerator
    >>> pictures = np.zeros((5, 8, 8, 3), "uint8")
    >>> datagen = FastImageDataGenerator(rescale=1 / 255, rotation_range=20)
    >>> recipes = Recipes(datagen, 5, shape=(8, 8, 3), batch_size=2, seed=0)
    >>> def cook(rows, transforms):
    ...     return {"imagery": datagen.transform_batch(pictures[rows], transforms)}, rows
    >>> [rows.numpy().tolist() for _, rows in from_recipes(recipes, cook)]
    [[2, 0], [1, 3], [4]]
    """
    workers = os.cpu_count() or 1 if workers is None else workers
    if workers < 1:
        raise ValueError(f"workers: expected 1 or more, found {workers}")
    if epochs is not None and epochs < 1:
        raise ValueError(f"epochs: expected 1 or more, or None, found {epochs}")
    if not (callable(recipes) and hasattr(recipes, "__len__") and hasattr(recipes, "peek")):
        raise TypeError(
            f"recipes: expected what can be called and has len() and peek(), as Recipes has them, "
            f"found {type(recipes).__name__}"
        )
    length = len(recipes)
    if length < 1:
        raise ValueError(f"recipes: expected 1 or more batches in an epoch, found {length}")
    first = cook(*recipes.peek())
    # For what it checks, and for the signature.
    signature = from_batches(lambda: [first], signature=signature, length=1).element_spec
    specs = tf.nest.flatten(signature)
    running: dict[int, _Epoch] = {}
    numbers = itertools.count()

    def start_epoch() -> Iterator[int]:
        number = next(numbers)
        running[number] = _Epoch(recipes(), length)
        try:
            yield number
        except GeneratorExit:  # nobody wants the rest
            running.pop(number, None)
            raise

    def cook_flat(epoch: int, batch: int) -> list[np.ndarray]:
        number = int(epoch)
        recipe, is_last = running[number].recipe(int(batch))
        if is_last:
            running.pop(number, None)
        leaves = tf.nest.flatten(fit_batch(cook(*recipe), signature))
        # numpy_function itself takes ASCII only.
        return [
            np.char.encode(leaf, "utf-8") if leaf.dtype.kind == "U" else leaf for leaf in leaves
        ]

    def cook_in_graph(epoch: tf.Tensor, batch: tf.Tensor) -> Any:
        values = tf.numpy_function(cook_flat, [epoch, batch], [spec.dtype for spec in specs])
        for value, spec in zip(values, specs, strict=True):
            value.set_shape(spec.shape)
        return tf.nest.pack_sequence_as(signature, values)

    # What passes through TensorFlow is the number of a batch. Whoever cooks it draws its recipe: a
    # generator that hands over each recipe costs as much time as warping ten pictures.
    started = tf.data.Dataset.from_generator(
        start_epoch, output_signature=tf.TensorSpec((), tf.int64)
    )
    batches = started.repeat(epochs).flat_map(
        lambda epoch: tf.data.Dataset.range(length).map(lambda batch: (epoch, batch))
    )
    dataset = batches.map(cook_in_graph, num_parallel_calls=workers)
    total = tf.data.INFINITE_CARDINALITY if epochs is None else length * epochs
    return dataset.apply(tf.data.experimental.assert_cardinality(total)).prefetch(2)


class _Epoch:
    """The recipes of one epoch, drawn in their order by whichever thread needs one first."""

    def __init__(self, recipes: Iterable[Any], length: int) -> None:
        self._recipes = enumerate(_counted(recipes, length))
        self._waiting: dict[int, Any] = {}
        self._left = length
        self._error: Exception | None = None
        self._lock = threading.Lock()

    def recipe(self, batch: int) -> tuple[Any, bool]:
        """Return the recipe of this batch, and whether it is the last that was asked for.

        Each is asked for once.
        """
        with self._lock:
            while batch not in self._waiting:
                if self._error is not None:
                    raise self._error
                try:
                    number, recipe = next(self._recipes)
                except Exception as error:
                    self._error = error  # the same for every thread that waits for more
                else:
                    self._waiting[number] = recipe
            self._left -= 1
            return self._waiting.pop(batch), self._left == 0


def _counted(recipes: Iterable[Any], length: int) -> Iterator[Any]:
    """Yield the recipes, or raise if there are not as many as there should be."""
    iterator = iter(recipes)
    for count in range(length):
        try:
            recipe = next(iterator)
        except StopIteration:
            raise BatchError(f"recipes: expected {length} in an epoch, found {count}") from None
        if count == length - 1 and next(iterator, None) is not None:
            raise BatchError(f"recipes: expected {length} in an epoch, found more")
        yield recipe
