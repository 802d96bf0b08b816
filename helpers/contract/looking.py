"""A look at a dataset before training, without moving it on.

A look at a ``from_generator`` dataset starts its generator function. A function that only reads
arrays does not mind; one that draws from a shared flow, or counts its epochs, has moved on
afterwards. `look` therefore puts back what it can name (`restoring`). Where it finds something
that cannot be put back (an open iterator), it does not look, and says so.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from helpers.contract import functions
from helpers.contract.nests import flat, is_sequence, with_arrays
from helpers.contract.pipelines import look_at_dataset
from helpers.contract.restoring import put_back
from helpers.contract.source import Source, read, see_end, unreadable

__all__ = ["Source", "look"]

#: Samples in a batch where `fit` cuts arrays into batches itself.
ARRAY_BATCH = 32

_WANTED = "a dataset, an array or a generator object"


def look(dataset: Any, *, batch: Any = None, whole_pass: bool = False) -> Source:
    """Return what can be known about a dataset at the price of two batches.

    Parameters
    ----------
    dataset : any
        What is to be passed to ``fit``; arrays as the tuple ``(x, y)``.
    batch : nest of arrays, optional
        A batch to look at in place of the dataset's own.
    whole_pass : bool
        Read one whole epoch, to see its last batch too.

    Returns
    -------
    Source
        With the first two batches. A third, the last, is looked at where it can be had by number
        (``PyDataset``, arrays) or in a whole pass.
    """
    if isinstance(dataset, tf.data.Dataset):
        source = look_at_dataset(dataset, batch is None, whole_pass)
    elif isinstance(dataset, keras.utils.PyDataset):
        source = _look_at_numbered(dataset, batch is None)
    elif isinstance(dataset, tf.distribute.DistributedDataset):
        source = Source("distributed dataset", unseen="it is spread over replicas")
    elif isinstance(dataset, types.GeneratorType):
        source = _look_at_generator(dataset, batch is None, whole_pass)
    elif callable(getattr(dataset, "peek", None)) and callable(dataset):
        source = Source("epochs", length=len(dataset), batches={"first batch": dataset.peek()})
        source.element = source.batches["first batch"]
        change = "datasets.from_batches(…) makes a dataset of it"
        source.problem = (f"a {type(dataset).__name__} object", _WANTED, change)
    elif callable(dataset):
        source = Source("function", unseen="fit does not take a function")
        change = "datasets.from_batches(function, length=…), or call it: function()"
        source.problem = ("a function", _WANTED, change)
    elif any(isinstance(part, tf.data.Dataset) for part in flat(dataset)):
        source = Source("datasets", unseen="fit takes one dataset")
        found = f"a {type(dataset).__name__} with datasets in it"
        change = "tf.data.Dataset.zip(((input, input), targets)) makes one of them"
        source.problem = (found, "one dataset of (inputs, targets)", change)
    elif isinstance(dataset, list) and len(dataset) > 1 and all(map(_is_batch, dataset)):
        source = Source("batches", unseen="fit does not take a list of batches")
        change = "datasets.from_batches(lambda: batches, length=len(batches))"
        source.problem = (f"a list of {len(dataset)} batches", _WANTED, change)
    elif _is_arrays(dataset):
        source = _look_at_arrays(dataset)
    else:
        source = Source("unknown", unseen=f"fit does not take a {type(dataset).__name__}")
        change = "write a generator function that yields whole batches, and datasets.from_batches"
        if type(dataset).__name__ in ("OwnedIterator", "NumpyIterator"):
            change = "pass the dataset itself"
        source.problem = (f"a {type(dataset).__name__}", _WANTED, change)
    if batch is not None:
        source.batches, source.unseen = {"batch": batch}, ""
        source.element = batch if source.element is None else source.element
    return source


def _look_at_generator(generator: types.GeneratorType, values: bool, whole_pass: bool) -> Source:
    """Look at another generator of the same code: a step of this one would be missing in fit."""
    source = Source("generator")
    if generator.gi_frame is None:
        change = "call its function once more for each fit"
        source.problem = ("a generator object that has run out", "a fresh one", change)
        return source
    again = functions.started_anew(generator)
    reachable = functions.reachable(again)
    see_end(generator, reachable, source)
    if not values:
        return source
    used_up = functions.used_up(reachable)
    if again is None:
        source.unseen = "it has begun, and a look would use up its next batch"
    elif used_up:
        source.unseen = f"a look would use up the {used_up} that it draws from"
    else:
        with put_back(reachable), contextlib.closing(again()) as twin:
            read(twin, source, whole_pass)
        source.element = source.batches.get("first batch")
    return source


def _look_at_numbered(dataset: Any, values: bool) -> Source:
    source = Source("PyDataset")
    try:
        length = dataset.num_batches if hasattr(dataset, "num_batches") else len(dataset)
    except NotImplementedError:
        source.problem = ("no length", "a number of batches", "write __len__ of the class")
        return source
    source.endless = length is None
    source.length = length
    source.shuffles = bool(getattr(dataset, "shuffle", False))
    if not values:
        return source
    numbers = {"first batch": 0}
    if length is not None and length > 1:
        numbers["last batch"] = length - 1
    with put_back(functions.reachable(dataset)):
        try:
            for name, number in numbers.items():
                source.batches[name] = dataset[number]
        except Exception as error:
            change = "mend __getitem__; dataset[0] shows its own error"
            source.problem = unreadable(number, error, change)
            return source
    source.element = source.batches["first batch"]
    return source


def _is_batch(part: Any) -> bool:
    return isinstance(part, tuple) and len(part) in (2, 3) and _is_arrays(part)


def _is_arrays(dataset: Any) -> bool:
    parts = flat(with_arrays(dataset))
    return bool(parts) and all(hasattr(part, "shape") or part is None for part in parts)


def _look_at_arrays(dataset: Any) -> Source:
    source = Source("arrays", element=dataset)
    dataset = with_arrays(dataset)
    shapes = [part.shape for part in flat(dataset) if part is not None]
    lengths = {int(shape[0]) for shape in shapes if len(shape) and shape[0] is not None}
    if len(lengths) == 1:
        source.length = -(-lengths.pop() // ARRAY_BATCH)

    def head(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {key: head(value) for key, value in part.items()}
        if is_sequence(part):
            return type(part)(map(head, part)) if type(part) in (tuple, list) else part
        if part is None or isinstance(part, tf.SparseTensor) or not len(part.shape):
            return part
        return part[:ARRAY_BATCH]

    # Not cut where lengths differ: the difference is what should be seen.
    source.batches = {"arrays": head(dataset) if source.length else dataset}
    return source
