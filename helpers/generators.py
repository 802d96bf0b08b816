"""Batches from ImageDataGenerator, in whole epochs, with every stream on the same rows.

What ``ImageDataGenerator.flow*`` returns is called a *flow* here. A flow never ends, draws its
random numbers from NumPy's global state and knows nothing of other flows. The classes below turn
flows into finite epochs that repeat from run to run, and tie any number of streams to the rows
(the sample numbers) that the flows hand out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers.transforms import with_own_random

__all__ = ["AlignedEpochs", "AlignmentError", "Epochs", "row_flow"]


# keras/src/legacy/preprocessing/image.py, `Iterator.white_list_formats`
_PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")


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
    """Return a flow over picture files that yields ``(pictures, rows)``.

    A row is a picture's position in `paths`. It is what every other stream needs in order to
    pick its own values for the same samples.

    Parameters
    ----------
    datagen : ImageDataGenerator
        Draws and applies the augmentation.
    paths : sequence of str or Path
        Picture files. Position 0 is row 0.
    target_size : tuple of int
        Height and width of each picture in pixels.
    batch_size : int
        Samples in a batch. The last batch of an epoch holds what is left.
    shuffle : bool
        Draw a new order each epoch.
    seed : int
        Flows with the same seed, length and batch size draw the same rows.
    **options
        Passed on to ``datagen.flow_from_dataframe``, such as ``color_mode``.

    Returns
    -------
    flow
        An endless iterator of ``(pictures, rows)``: float32 of shape
        (batch, height, width, channels) and int64 of shape (batch,).

    Raises
    ------
    FileNotFoundError
        If a path is not a file. (Keras would drop the row and go on.)
    ValueError
        If a file's ending is not one of a picture that Keras reads. (Likewise.)

    Examples
    --------
    >>> import tensorflow as tf
    >>> from helpers import tiles
    >>> datagen = tf.keras.preprocessing.image.ImageDataGenerator(rescale=1 / 255)
    >>> flow = row_flow(datagen, tiles.paths("relief", "test"), target_size=(32, 32), seed=1)
    Found 120 validated image filenames.
    >>> pictures, rows = next(flow)
    >>> pictures.shape, rows.shape
    ((32, 32, 32, 3), (32,))
    """
    for row, path in enumerate(paths):
        if not Path(path).is_file():
            raise FileNotFoundError(f"row {row}: expected a picture file, found none at {path}")
        if not str(path).lower().endswith(_PICTURE_ENDINGS):
            raise ValueError(f"row {row}: expected one of {_PICTURE_ENDINGS}, found {path}")
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
    augmentation differs from epoch to epoch. Batch *b* of epoch *e* depends on the flow's seed,
    on *e* and on *b*, and on nothing else: not on other threads, on epochs that were left half
    way, or on who else draws from NumPy's global random state. Neither that state nor the flow is
    touched. (What a ``preprocessing_function`` draws from ``np.random`` is its own affair.)

    The first epochs are the very batches that ``next(flow)`` gives on a fresh flow.

    Parameters
    ----------
    flow : keras Iterator
        What ``ImageDataGenerator.flow``, ``flow_from_directory`` or ``flow_from_dataframe``
        returned. It must have a seed.

    Raises
    ------
    TypeError
        If `flow` is not a flow (an ``ImageDataGenerator`` itself, for example).
    ValueError
        If the flow has no seed, or no samples.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorflow as tf
    >>> datagen = tf.keras.preprocessing.image.ImageDataGenerator(horizontal_flip=True)
    >>> flow = datagen.flow(np.zeros((5, 8, 8, 3)), np.arange(5), batch_size=2, seed=0)
    >>> epochs = Epochs(flow)
    >>> len(epochs), [len(rows) for pictures, rows in epochs()]
    (3, [2, 2, 1])
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
        order = None
        for index in range(len(self)):
            batch, order = self._draw(epoch, index, order)
            yield batch

    def _draw(self, epoch: int, index: int, order: np.ndarray | None) -> tuple[Any, np.ndarray]:
        """Draw one batch, and the order of rows in this epoch unless it is known already.

        A flow seeds NumPy's global state with its seed plus the batches seen, draws the order
        before an epoch's first batch, and then a transform for each picture
        (keras/src/legacy/preprocessing/image.py, `Iterator._flow_index`). Here the same numbers
        come from a state of our own, on copies of the flow and its `ImageDataGenerator`.
        """
        flow = copy.copy(self.flow)
        random = np.random.RandomState(flow.seed + epoch * len(self) + index)
        if order is None:
            order = random.permutation(flow.n) if flow.shuffle else np.arange(flow.n)
        flow.index_array = order
        flow.seed = None  # or it would seed the global state
        if flow.image_data_generator is not None:
            datagen = flow.image_data_generator = copy.copy(flow.image_data_generator)
            datagen.get_random_transform = with_own_random(datagen.get_random_transform, random)
        return flow[index], order


class AlignedEpochs:
    """Epochs in which every stream is on the same rows, by construction.

    Each flow yields ``(pictures, rows)``. The rows must be equal in all flows; every other
    stream is then a function of the rows, so nothing is left to the luck of seeds.

    Parameters
    ----------
    flows : mapping of str to flow
        Flows that yield ``(pictures, rows)``, such as those of `row_flow` or
        ``datagen.flow(pictures, y=np.arange(n))``. Give all the same seed and batch size.
    assemble : callable
        ``assemble(pictures, rows)`` returns the batch in the structure that you want.
        `pictures` maps each flow's name to an array of shape (batch, height, width, channels);
        `rows` is an int64 array of shape (batch,).
    transforms : callable, optional
        ``transforms(pictures, rows, epoch)`` returns the pictures to hand to `assemble`, such as
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
    >>> import numpy as np
    >>> import tensorflow as tf
    >>> datagen = tf.keras.preprocessing.image.ImageDataGenerator()
    >>> heights = np.array([10.0, 20.0, 30.0], "float32")
    >>> flow = datagen.flow(np.zeros((3, 8, 8, 3)), np.arange(3), batch_size=2, seed=0)
    >>> epochs = AlignedEpochs(
    ...     {"imagery": flow}, lambda pictures, rows: (pictures["imagery"], heights[rows])
    ... )
    >>> [values.tolist() for pictures, values in epochs()]
    [[30.0, 20.0], [10.0]]
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
        pictures = {name: batch for name, (batch, _) in parts.items()}
        if self._transforms is not None:
            pictures = self._transforms(pictures, rows, epoch)
        batch = self._assemble(pictures, rows)
        if batch is None:
            raise TypeError("assemble: expected a batch, found None; is a return missing?")
        return batch


def _split_rows(name: str, batch: Any) -> tuple[np.ndarray, np.ndarray]:
    """Take a flow's batch apart into pictures and rows."""
    rows = np.asarray(batch[1]) if isinstance(batch, tuple) and len(batch) == 2 else None
    if rows is None or rows.ndim != 1 or rows.dtype.kind not in "iu":
        found = f"{len(batch)} parts" if isinstance(batch, tuple) else type(batch).__name__
        if rows is not None:
            found = f"second part {rows.dtype} of shape {rows.shape}"
        raise AlignmentError(
            f"flows[{name!r}]: expected batches (pictures, rows) with whole-number rows, "
            f'found {found}; use row_flow, class_mode="raw" or flow(x, y=np.arange(len(x)))'
        )
    return batch[0], rows


def _few(rows: np.ndarray) -> str:
    shown = ", ".join(str(row) for row in rows[:3])
    return f"[{shown}, …]" if len(rows) > 3 else f"[{shown}]"
