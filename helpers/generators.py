"""Batches from ImageDataGenerator, in whole epochs, with every stream on the same rows.

What ``ImageDataGenerator.flow*`` returns is called a *flow* here. A flow never ends, samples from
NumPy's global random state and knows nothing of other flows. The classes below turn flows into
finite epochs that repeat from run to run, and tie any number of streams to the rows (the sample
numbers) that the flows yield.

The lesson that builds it: 02 Separate generators.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from helpers.fast import as_dict
from helpers.transforms import order_of_rows, sample

__all__ = ["AlignedEpochs", "AlignmentError", "Epochs", "row_flow"]


class AlignmentError(ValueError):
    """Streams that should be on the same rows are not."""


def row_flow(
    datagen: Any,
    paths: Sequence[str | Path],
    *,
    target_size: tuple[int, int],
    batch_size: int = 32,
    shuffle: bool = True,
    seed: int,
    **options: Any,
) -> Any:
    """Return a flow over image files that yields ``(images, rows)``.

    A row is an image's position in `paths`. It is what every other stream needs in order to
    pick its own values for the same samples.

    Parameters
    ----------
    datagen : ImageDataGenerator
        Samples and applies the augmentation.
    paths : sequence of str or Path
        Image files. Position 0 is row 0.
    target_size : tuple of int
        Height and width of each image in pixels.
    batch_size : int
        Samples in a batch. The last batch of an epoch holds what is left.
    shuffle : bool
        Take another order each epoch.
    seed : int
        Flows with the same seed, length and batch size yield the same rows.
    **options
        Passed on to ``datagen.flow_from_dataframe``, such as ``color_mode``, or
        ``subset="validation"`` with the `validation_split` of `datagen`: the rows stay positions in
        all of `paths`.

    Returns
    -------
    flow
        An endless iterator of ``(images, rows)``: float32 of shape
        (batch, height, width, channels) and int64 of shape (batch,).

    Raises
    ------
    FileNotFoundError
        If a path is not a file. (Keras would drop the row and go on.)
    ValueError
        If a file's ending is none that Keras reads. (Likewise.)

    Examples
    --------
    >>> from helpers import tiles
    >>> datagen = tf.keras.preprocessing.image.ImageDataGenerator(rescale=1 / 255)
    >>> flow = row_flow(datagen, tiles.paths("relief", "test"), target_size=(32, 32), seed=1)
    Found 120 validated image filenames.
    >>> images, rows = next(flow)
    >>> images.shape, rows.shape
    ((32, 32, 32, 3), (32,))
    """
    endings = tf.keras.preprocessing.image.Iterator.white_list_formats
    for row, path in enumerate(paths):
        if not Path(path).is_file():
            raise FileNotFoundError(f"row {row}: expected an image file, found none at {path}")
        if not str(path).lower().endswith(endings):
            raise ValueError(f"row {row}: expected a file ending in {endings}, found {path}")
    table = pd.DataFrame({"path": [str(path) for path in paths], "row": np.arange(len(paths))})
    return datagen.flow_from_dataframe(
        table,
        x_col="path",
        y_col="row",
        class_mode="raw",  # the value of `y_col` comes back as it is: the row number
        target_size=target_size,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        **options,
    )


class Epochs:
    """Whole epochs of one flow: a callable that ``Dataset.from_generator`` can call again.

    Each call starts the next epoch of the same flow and yields ``len(flow)`` batches, so the
    augmentation differs from epoch to epoch. The transform of a sample depends on the flow's seed,
    the epoch and the row (its position in the flow); the order of rows on the seed and the epoch.
    Nothing else matters: not the batch size, other threads, epochs that were left half way, or who
    else uses NumPy's global random state. Neither that state nor the flow is touched. (What a
    ``preprocessing_function`` takes from ``np.random`` is its own affair.)

    The numbers come from `helpers.transforms`, so they are others than a bare flow with the same
    seed would sample.

    Parameters
    ----------
    flow : keras Iterator
        What ``ImageDataGenerator.flow``, ``flow_from_directory`` or ``flow_from_dataframe``
        returned. It must have a seed.

    Raises
    ------
    TypeError
        If `flow` is not a flow (an ``ImageDataGenerator`` itself, for example), or its
        ``ImageDataGenerator`` is of a class that samples by itself.
    ValueError
        If the flow has no seed, or no samples.

    Examples
    --------
    >>> datagen = tf.keras.preprocessing.image.ImageDataGenerator(horizontal_flip=True)
    >>> flow = datagen.flow(np.zeros((5, 8, 8, 3)), np.arange(5), batch_size=2, seed=0)
    >>> epochs = Epochs(flow)
    >>> len(epochs), [rows.tolist() for images, rows in epochs()]
    (3, [[1, 3], [4, 2], [0]])
    """

    def __init__(self, flow: Any) -> None:
        if not all(hasattr(flow, name) for name in ("index_array", "shuffle", "seed", "n")):
            raise TypeError(
                f"flow: expected what ImageDataGenerator.flow, flow_from_directory or "
                f"flow_from_dataframe returns, found {type(flow).__name__}"
            )
        if flow.seed is None:
            raise ValueError("flow: expected a seed, found None; pass seed=<int> to .flow*()")
        if flow.n == 0:
            raise ValueError("flow: expected at least one sample, found 0")
        if flow.image_data_generator is not None:  # what is wrong with it shows here
            sample(flow.image_data_generator, 0, (1, 1, 1), seed=flow.seed, epoch=0)
        self.flow = flow
        self._epochs_started = 0

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.flow)

    def __call__(self) -> Iterator[Any]:
        """Start the next epoch and return an iterator over its batches."""
        epoch = self._epochs_started
        self._epochs_started += 1
        return self._batches(epoch)

    def peek(self) -> Any:
        """Return the first batch of the next epoch without starting it."""
        return next(self._batches(self._epochs_started))

    def _batches(self, epoch: int) -> Iterator[Any]:
        flow = copy.copy(self.flow)
        count, seed = flow.n, flow.seed
        order = order_of_rows(count, seed=seed, epoch=epoch) if flow.shuffle else np.arange(count)
        flow.index_array = order
        flow.seed = None  # or it would seed NumPy's global state
        if flow.image_data_generator is not None:
            flow.image_data_generator = _with_table(flow.image_data_generator, order, seed, epoch)
        for index in range(len(self)):
            yield flow[index]


def _with_table(datagen: Any, order: np.ndarray, flow_seed: int, epoch: int) -> Any:
    """Return a copy that transforms one image after the other as the epoch's table says.

    A flow asks ``get_random_transform`` once for each image of a batch, in the batch's order
    (keras/src/legacy/preprocessing/image.py, `_get_batches_of_transformed_samples`).
    """
    lines: Iterator[np.ndarray] | None = None

    def next_line(shape: tuple[int, ...], seed: int | None = None) -> dict[str, float | None]:
        nonlocal lines
        if lines is None:
            lines = iter(sample(datagen, len(order), shape, seed=flow_seed, epoch=epoch)[order])
        return as_dict(next(lines))

    twin = copy.copy(datagen)
    twin.get_random_transform = next_line
    return twin


class AlignedEpochs:
    """Epochs in which every stream is on the same rows, by construction.

    Each flow yields ``(images, rows)``. The rows must be equal in all flows; every other
    stream is then a function of the rows, so nothing is left to the luck of seeds.

    Parameters
    ----------
    flows : mapping of str to flow
        Flows that yield ``(images, rows)``, such as those of `row_flow` or
        ``datagen.flow(images, y=np.arange(n))``. Give all the same seed and batch size.
    assemble : callable
        ``assemble(images, rows)`` returns the batch in the structure that you want.
        `images` maps each flow's name to an array of shape (batch, height, width, channels);
        `rows` is an int64 array of shape (batch,).
    transforms : callable, optional
        ``transforms(images, rows, epoch)`` returns the images to pass to `assemble`, such as
        `helpers.transforms.SharedTransforms`. The flows then only read: give them a plain
        ``ImageDataGenerator()``.

    Raises
    ------
    AlignmentError
        If a flow yields no rows, or the flows' rows differ, or their lengths.
    TypeError
        If `flows` is not a dict, or `assemble` returns nothing.

    Examples
    --------
    >>> datagen = tf.keras.preprocessing.image.ImageDataGenerator()
    >>> heights = np.array([10.0, 20.0, 30.0], "float32")
    >>> flow = datagen.flow(np.zeros((3, 8, 8, 3)), np.arange(3), batch_size=2, seed=0)
    >>> epochs = AlignedEpochs(
    ...     {"imagery": flow}, lambda images, rows: (images["imagery"], heights[rows])
    ... )
    >>> [values.tolist() for images, values in epochs()]
    [[20.0, 30.0], [10.0]]
    """

    def __init__(
        self,
        flows: Mapping[str, Any],
        assemble: Callable[[dict[str, np.ndarray], np.ndarray], Any],
        *,
        transforms: Callable[[dict[str, np.ndarray], np.ndarray, int], Any] | None = None,
    ) -> None:
        if not isinstance(flows, Mapping):
            raise TypeError(f"flows: expected a dict of name: flow, found {type(flows).__name__}")
        if not flows:
            raise ValueError("flows: expected at least one flow by name, found none")
        self._epochs = {name: Epochs(flow) for name, flow in flows.items()}
        self._assemble = assemble
        self._transforms = transforms
        self._epochs_started = 0
        first = next(iter(self._epochs))
        for name, epochs in self._epochs.items():
            if len(epochs) != len(self):
                raise AlignmentError(
                    f"flows[{name!r}]: expected {len(self)} batches an epoch as in "
                    f"flows[{first!r}], found {len(epochs)}"
                )
        self.peek()  # what is wrong with the flows or with `assemble` shows here, not in training

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(next(iter(self._epochs.values())))

    def __call__(self) -> Iterator[Any]:
        """Start the next epoch of every flow and return an iterator over its batches."""
        epoch = self._epochs_started
        self._epochs_started += 1
        return self._batches({name: epochs() for name, epochs in self._epochs.items()}, epoch)

    def peek(self) -> Any:
        """Return the first batch of the next epoch without starting it."""
        first_batches = {name: epochs.peek() for name, epochs in self._epochs.items()}
        return self._join(first_batches, self._epochs_started)

    def _batches(self, passes: Mapping[str, Iterator[Any]], epoch: int) -> Iterator[Any]:
        for _ in range(len(self)):
            yield self._join({name: next(batches) for name, batches in passes.items()}, epoch)

    def _join(self, batches: Mapping[str, Any], epoch: int) -> Any:
        parts = {name: _split_rows(name, batch) for name, batch in batches.items()}
        first, (_, rows) = next(iter(parts.items()))
        for name, (_, found) in parts.items():
            if not np.array_equal(rows, found):
                raise AlignmentError(
                    f"flows[{name!r}]: expected rows {_few(rows)} as in flows[{first!r}], "
                    f"found {_few(found)}; give all flows the same seed, batch_size and shuffle"
                )
        images = {name: batch for name, (batch, _) in parts.items()}
        if self._transforms is not None:
            images = self._transforms(images, rows, epoch)
        batch = self._assemble(images, rows)
        if batch is None:
            raise TypeError("assemble: expected a batch, found None; is a return missing?")
        return batch


def _split_rows(name: str, batch: Any) -> tuple[np.ndarray, np.ndarray]:
    """Take a flow's batch apart into images and rows."""
    rows = np.asarray(batch[1]) if isinstance(batch, tuple) and len(batch) == 2 else None
    if rows is None or rows.ndim != 1 or rows.dtype.kind not in "iu":
        found = f"{len(batch)} parts" if isinstance(batch, tuple) else type(batch).__name__
        if rows is not None:
            found = f"second part {rows.dtype} of shape {rows.shape}"
        raise AlignmentError(
            f"flows[{name!r}]: expected batches (images, rows) with integer rows, "
            f'found {found}; use row_flow, class_mode="raw" or flow(x, y=np.arange(len(x)))'
        )
    return batch[0], rows


def _few(rows: np.ndarray) -> str:
    shown = ", ".join(str(row) for row in rows[:3])
    return f"[{shown}, …]" if len(rows) > 3 else f"[{shown}]"
