"""A plan says which rows make a batch, and parallel workers make the batches, in order.

A Python generator runs in one thread. So it should do little: say which rows of which epoch come
next. That is a *plan*. Reading, decoding, warping and scaling are work that many threads can share,
because the libraries that do it let go of the interpreter's lock meanwhile. What is random follows
from the row and the epoch (`helpers.transforms.SharedTransforms`), so it does not matter who makes
a batch, or when.

The lesson that builds it: 09 Make it fast.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from helpers.datasets import BatchError, conform, from_batches
from helpers.transforms import order_of_rows

__all__ = ["Plan", "from_plan"]


class Plan:
    """Whole epochs of a plan: the rows of each batch, and the epoch that they belong to.

    The rows are those of `helpers.generators.Epochs` over a flow with the same seed and batch size.
    Each call starts the next epoch.

    Parameters
    ----------
    count : int
        Number of samples.
    batch_size : int
        Samples in a batch. The last batch of an epoch holds what is left.
    shuffle : bool
        Take another order each epoch.
    seed : int
        From 0: where the random numbers start.

    Raises
    ------
    ValueError
        If `count` or `batch_size` is below 1, or the seed is no integer from 0.

    Examples
    --------
    >>> plan = Plan(5, batch_size=2, seed=0)
    >>> [(rows.tolist(), epoch) for rows, epoch in plan()]
    [([1, 3], 0), ([4, 2], 0), ([0], 0)]
    >>> len(plan), plan.peek()
    (3, (array([0, 4]), 1))
    """

    def __init__(
        self, count: int, *, batch_size: int = 32, shuffle: bool = True, seed: int
    ) -> None:
        for name, value in (("count", count), ("batch_size", batch_size)):
            if value < 1:
                raise ValueError(f"{name}: expected 1 or more, found {value}")
        order_of_rows(1, seed=seed, epoch=0)  # what is wrong with the seed shows here
        self._count, self._batch_size = count, batch_size
        self._shuffle, self._seed = shuffle, seed
        self._epochs_started = 0

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-self._count // self._batch_size)

    def __call__(self) -> Iterator[tuple[np.ndarray, int]]:
        """Start the next epoch and return an iterator over ``(rows, epoch)``."""
        epoch = self._epochs_started
        self._epochs_started += 1
        return self._batches(epoch)

    def peek(self) -> tuple[np.ndarray, int]:
        """Return the first ``(rows, epoch)`` of the next epoch without starting it."""
        return next(self._batches(self._epochs_started))

    def _batches(self, epoch: int) -> Iterator[tuple[np.ndarray, int]]:
        rows = np.arange(self._count)
        if self._shuffle:
            rows = order_of_rows(self._count, seed=self._seed, epoch=epoch)
        for start in range(0, self._count, self._batch_size):
            yield rows[start : start + self._batch_size], epoch


def from_plan(
    plan: Any,
    make_batch: Callable[..., Any],
    *,
    workers: int | None = None,
    epochs: int | None = 1,
    signature: Any = None,
) -> tf.data.Dataset:
    """Return a dataset of the batches that ``make_batch(rows, epoch)`` makes, in the plan's order.

    Parameters
    ----------
    plan : callable
        Called once per epoch; returns an iterable of the arguments of `make_batch`, a tuple for
        each batch. With ``len()``, the number of batches in an epoch, and ``peek()``, as `Plan` has
        them.
    make_batch : callable
        ``make_batch(rows, epoch)``, or whatever the plan holds, returns the batch in the structure
        that you want: tuples and dicts of arrays. Several threads call it at once, so it must not
        change anything outside, and what is random in it must follow from its arguments.
    workers : int, optional
        Batches that are made at the same time; one for each core when it is not given. The dataset
        gets as many threads of its own, so that workers that wait for a disk wait side by side on
        few cores, too. The batches do not depend on it.
    epochs : int or None
        How many epochs a pass through the dataset holds. With None it never ends: for
        ``fit(…, steps_per_epoch=len(plan))``, where the workers then need not stop between one
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
        If `plan` cannot be called, or has no ``len()`` or no ``peek()``.
    ValueError
        If `workers`, `epochs` or the number of batches is below 1.
    BatchError
        If the first batch does not conform to the signature; at once. A later one, or an epoch with
        more or fewer batches than ``len(plan)``, stops the iteration.

    Examples
    --------
    >>> from helpers.transforms import SharedTransforms
    >>> images = np.zeros((5, 8, 8, 3), "uint8")
    >>> datagen = tf.keras.preprocessing.image.ImageDataGenerator(rotation_range=20)
    >>> shared = SharedTransforms(datagen, seed=0)
    >>> def make_batch(rows, epoch):
    ...     return shared({"imagery": images[rows]}, rows, epoch), rows
    >>> dataset = from_plan(Plan(5, batch_size=2, seed=0), make_batch)
    >>> [rows.numpy().tolist() for _, rows in dataset]
    [[1, 3], [4, 2], [0]]
    """
    cores = os.cpu_count() or 1
    workers = cores if workers is None else workers
    if workers < 1:
        raise ValueError(f"workers: expected 1 or more, found {workers}")
    if epochs is not None and epochs < 1:
        raise ValueError(f"epochs: expected 1 or more, or None, found {epochs}")
    if not (callable(plan) and hasattr(plan, "__len__") and hasattr(plan, "peek")):
        raise TypeError(
            f"plan: expected what can be called and has len() and peek(), as Plan has them, "
            f"found {type(plan).__name__}"
        )
    length = len(plan)
    if length < 1:
        raise ValueError(f"plan: expected 1 or more batches in an epoch, found {length}")
    first = [make_batch(*plan.peek())]
    # For what it checks, and for the signature.
    signature = from_batches(lambda: first, signature=signature, length=1).element_spec
    first.clear()  # TensorFlow keeps that function for good; it need not keep the batch
    specs = tf.nest.flatten(signature)
    running: dict[int, _Epoch] = {}

    def start_epoch() -> Iterator[int]:
        epoch = _Epoch(plan(), length)
        number = id(epoch)  # no other epoch has it as long as this one runs
        running[number] = epoch
        try:
            yield number
        except GeneratorExit:  # nobody wants the rest
            running.pop(number, None)
            raise

    def make_leaves(number: int, batch: int) -> list[np.ndarray]:
        arguments, is_last = running[int(number)].arguments(int(batch))
        if is_last:
            running.pop(int(number), None)
        leaves = tf.nest.flatten(conform(make_batch(*arguments), signature))
        # numpy_function itself takes ASCII only.
        return [
            np.char.encode(leaf, "utf-8") if leaf.dtype.kind == "U" else leaf for leaf in leaves
        ]

    def make_in_graph(number: tf.Tensor, batch: tf.Tensor) -> Any:
        values = tf.numpy_function(make_leaves, [number, batch], [spec.dtype for spec in specs])
        for value, spec in zip(values, specs, strict=True):
            value.set_shape(spec.shape)
        return tf.nest.pack_sequence_as(signature, values)

    # What passes through TensorFlow is the number of a batch. Whoever makes it takes its part of
    # the plan: a generator that yields each one costs as much time as warping ten images.
    started = tf.data.Dataset.from_generator(
        start_epoch, output_signature=tf.TensorSpec((), tf.int64)
    )
    batches = started.repeat(epochs).flat_map(
        lambda number: tf.data.Dataset.range(length).map(lambda batch: (number, batch))
    )
    dataset = batches.map(make_in_graph, num_parallel_calls=workers)
    total = tf.data.INFINITE_CARDINALITY if epochs is None else length * epochs
    options = tf.data.Options()
    options.threading.private_threadpool_size = max(workers, cores)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(total)).prefetch(2)
    return dataset.with_options(options)


class _Epoch:
    """The batches of one epoch's plan, taken in their order by whichever thread needs one first."""

    def __init__(self, batches: Iterable[Any], length: int) -> None:
        self._batches = _counted(iter(batches), length)
        self._waiting: dict[int, Any] = {}
        self._left = length
        self._error: Exception | None = None
        self._lock = threading.Lock()

    def arguments(self, batch: int) -> tuple[Any, bool]:
        """Return what to make this batch from, and whether it is the last that was asked for.

        Each is asked for once.
        """
        with self._lock:
            while batch not in self._waiting:
                if self._error is not None:
                    raise self._error
                try:
                    number, arguments = next(self._batches)
                    self._waiting[number] = arguments
                except Exception as error:
                    self._error = error  # the same for every thread that waits for more
            self._left -= 1
            return self._waiting.pop(batch), self._left == 0


def _counted(batches: Iterator[Any], length: int) -> Iterator[tuple[int, Any]]:
    """Number the batches of a plan, or raise if there are not as many as there should be."""
    found = f"plan: expected {length} batches in an epoch, found"
    for number in range(length):
        try:
            arguments = next(batches)
        except StopIteration:
            raise BatchError(f"{found} {number}") from None
        if number == length - 1 and next(batches, None) is not None:
            raise BatchError(f"{found} more")
        yield number, arguments
