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
        Passed on to ``datagen.flow_from_dataframe``, such as ``color_mode``. With
        ``subset="validation"`` and the ``validation_split`` of `datagen` the flow holds the first
        part of `paths`, with ``"training"`` the rest; rows stay positions in all of `paths`. So
        shuffle files that are sorted by class before.

    Returns
    -------
    flow
        Endless batches ``(images, rows)``: float32 of shape (batch, height, width, channels) and
        int64 of shape (batch,).

    Raises
    ------
    FileNotFoundError, ValueError
        If a path is no file, or has an ending that Keras does not read. (It would drop the row.)

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


class _EpochByEpoch:
    """Each call starts the next epoch; ``_batches(epoch)`` makes its batches."""

    _batches: Callable[..., Iterator[Any]]

    def __init__(self) -> None:
        self._epochs_started = 0  # of each object, so that who looks at it can put it back

    def __call__(self) -> Iterator[Any]:
        """Start the next epoch and return an iterator over its batches."""
        epoch = self._epochs_started
        self._epochs_started += 1
        return self._batches(epoch)

    def peek(self) -> Any:
        """Return the first batch of the next epoch without starting it."""
        return next(self._batches(self._epochs_started))


class Epochs(_EpochByEpoch):
    """Whole epochs of one flow: a callable that ``Dataset.from_generator`` can call again.

    Each call starts the next epoch of the same flow and yields ``len(flow)`` batches. The transform
    of a sample follows from the flow's seed, the epoch and the row (its position in the flow), the
    order of rows from seed and epoch: not from the batch size, other threads, epochs that were left
    half way, or NumPy's global random state. Neither that state nor the flow is touched. (What a
    ``preprocessing_function`` takes from ``np.random`` is its own affair.) The numbers come from
    `helpers.transforms`: a bare flow with the same seed samples others.

    Parameters
    ----------
    flow : keras Iterator
        What ``ImageDataGenerator.flow``, ``flow_from_directory`` or ``flow_from_dataframe``
        returned. It must have a seed.

    Raises
    ------
    TypeError
        If `flow` is not a flow, or its ``ImageDataGenerator`` is of a class that samples by itself.
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
        super().__init__()
        self.flow = flow

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.flow)

    def _batches(self, epoch: int, order: np.ndarray | None = None) -> Iterator[Any]:
        flow = copy.copy(self.flow)
        count, seed = flow.n, flow.seed
        if order is None and flow.shuffle:
            order = order_of_rows(count, seed=seed, epoch=epoch)
        flow.index_array = order = np.arange(count) if order is None else order
        flow.seed = None  # or it would seed NumPy's global state
        if flow.image_data_generator is not None:
            flow.image_data_generator = _with_table(flow.image_data_generator, order, seed, epoch)
        for index in range(len(self)):
            yield flow[index]

    def _last(self) -> Any:
        """Return a batch of the flow's last samples, where a table that is too short ends."""
        return next(self._batches(0, np.arange(self.flow.n)[::-1]))


def _with_table(datagen: Any, order: np.ndarray, flow_seed: int, epoch: int) -> Any:
    """Return a copy that transforms one image after the other as the epoch's table says.

    A flow asks ``get_random_transform`` once for each image of a batch, in the batch's order.
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


class AlignedEpochs(_EpochByEpoch):
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
        If a flow yields no rows, the flows' rows or their numbers differ, or `assemble` has no
        value for a row.
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
        super().__init__()
        self._epochs = {name: Epochs(flow) for name, flow in flows.items()}
        self._assemble = assemble
        self._transforms = transforms
        _check_flows(flows)
        # What is wrong with seeds, tables or `assemble` shows here, not in training.
        self.peek()
        self._join({name: epochs._last() for name, epochs in self._epochs.items()}, 0)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(next(iter(self._epochs.values())))

    def _batches(self, epoch: int) -> Iterator[Any]:
        for batches in zip(*(one._batches(epoch) for one in self._epochs.values()), strict=True):
            yield self._join(dict(zip(self._epochs, batches, strict=True)), epoch)

    def _join(self, batches: Mapping[str, Any], epoch: int) -> Any:
        parts = {name: _split_rows(name, batch) for name, batch in batches.items()}
        all_rows = {name: found for name, (_, found) in parts.items()}
        _check_rows(all_rows, "the same seed, batch_size and shuffle")
        rows = next(iter(all_rows.values()))
        images = {name: batch for name, (batch, _) in parts.items()}
        if self._transforms is not None:
            images = self._transforms(images, rows, epoch)
        try:
            batch = self._assemble(images, rows)
        except IndexError as error:
            raise AlignmentError(
                f"assemble: expected a value for each row up to {rows.max()}, found: {error}; "
                f"give each table one line per file, in the order of the files"
            ) from error
        if batch is None:
            raise TypeError("assemble: expected a batch, found None; is a return missing?")
        return batch


def _check_flows(flows: Mapping[str, Any]) -> None:
    """Refuse flows that cannot be on the same rows, before anything is read."""
    (first, one), *others = flows.items()
    for name, flow in others:
        for what, expected, found, change in (
            ("samples", one.n, flow.n, "files: leave out those without a partner"),
            ("batches an epoch", len(one), len(flow), "batch_size"),
        ):
            if found != expected:
                raise AlignmentError(
                    f"flows[{name!r}]: expected {expected} {what} as in flows[{first!r}], "
                    f"found {found}; give all flows the same {change}"
                )
    # A flow knows its rows as `y` or, of files, as `labels`.
    known: dict[str, Any] = {
        name: getattr(flow, "y", getattr(flow, "labels", None)) for name, flow in flows.items()
    }
    if all(np.ndim(rows) == 1 for rows in known.values()):
        _check_rows(known, "the same files in the same order")


def _check_rows(rows_by_name: Mapping[str, Any], what: str) -> None:
    (first, rows), *others = ((name, np.asarray(rows)) for name, rows in rows_by_name.items())
    for name, found in others:
        if not np.array_equal(rows, found):
            start = int(np.argmax(rows != found)) if len(rows) == len(found) else 0
            raise AlignmentError(
                f"flows[{name!r}]: expected rows {_few(rows[start:])} as in flows[{first!r}], "
                f"found {_few(found[start:])}; give all flows {what}"
            )


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
