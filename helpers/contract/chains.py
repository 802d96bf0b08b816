"""What a ``tf.data.Dataset`` is made of, and the same elements without its shuffle."""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf

from helpers.contract.functions import reachable

__all__ = ["chain_of", "function_of", "generator_of", "rebuilt", "writes_files"]

# Operations that change the order or the number of elements, or nothing, but not what is in one.
_LEFT_OUT = {"_ShuffleDataset", "_PrefetchDataset", "CacheDataset", "_RepeatDataset"}
_LEFT_OUT |= {"_AssertCardinalityDataset", "_OptionsDataset"}
# A partial pass through these would leave files behind.
_WRITERS = {"_SaveDataset", "_SnapshotDataset", "_LoadDataset"}


def chain_of(dataset: tf.data.Dataset) -> list[tf.data.Dataset]:
    """Return the dataset and all that it is made of, itself first."""
    found, waiting = [], [dataset]
    while waiting:
        found.append(waiting.pop())
        waiting.extend(found[-1]._inputs())
    return found


def function_of(dataset: tf.data.Dataset) -> Any:
    """Return the function that ``map``, ``flat_map`` and their kind were given, or None."""
    wrapped = getattr(dataset, "_map_func", None)
    return getattr(wrapped, "_func", None)


def generator_of(dataset: tf.data.Dataset) -> Any:
    """Return the function that was passed to ``from_generator``, or None."""
    function = function_of(dataset)
    if getattr(function, "__qualname__", "") != "_from_generator.<locals>.flat_map_fn":
        return None
    for thing in reachable(function):
        if type(thing).__name__ == "_GeneratorState":
            given = _arguments_of(function)
            return functools.partial(thing._generator, *given) if given else thing._generator
    return None


def _arguments_of(function: Any) -> list[Any]:
    """Return what was passed to ``from_generator(…, args=)``, as the generator gets it."""
    for name in ("get_iterator_id_fn", "args"):
        held = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        if name not in held:
            return []
        function = held[name].cell_contents
    return [argument.numpy() for argument in function]


def writes_files(dataset: tf.data.Dataset) -> bool:
    """Say whether reading this part of a chain leaves files behind."""
    if type(dataset).__name__ == "CacheDataset":
        return bool(dataset._filename.numpy())
    return type(dataset).__name__ in _WRITERS


def rebuilt(dataset: tf.data.Dataset) -> tf.data.Dataset | None:
    """Return the dataset without shuffle, cache and repeat; None where that cannot be done."""
    name = type(dataset).__name__
    if not dataset._inputs():
        return dataset
    if name == "_FlatMapDataset" and generator_of(dataset) is not None:
        return dataset
    if name == "_ZipDataset":
        parts = [rebuilt(part) for part in dataset._inputs()]
        if any(part is None for part in parts):
            return None
        return tf.data.Dataset.zip(tf.nest.pack_sequence_as(dataset._datasets, parts))
    if len(dataset._inputs()) != 1:
        return None
    below = rebuilt(dataset._inputs()[0])
    if below is None or name in _LEFT_OUT:
        return below
    if name in ("_BatchDataset", "_ParallelBatchDataset"):
        return below.batch(dataset._batch_size, drop_remainder=dataset._drop_remainder)
    if name in ("_MapDataset", "_ParallelMapDataset"):
        return below.map(function_of(dataset))
    if name in ("_TakeDataset", "_SkipDataset"):
        return below  # of which elements makes no difference here
    return None
