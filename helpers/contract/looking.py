"""A look at a dataset before training, without moving it on.

A look at a ``from_generator`` dataset starts its generator function. A function that only reads
arrays does not mind; one that draws from a shared flow, or counts its epochs, has moved on
afterwards. `look` therefore puts back what it can name (`restoring`). Where it finds something
that cannot be put back (an open iterator), it does not look, and says so.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from helpers.contract import bytecode, functions
from helpers.contract.chains import chain_of, function_of, generator_of, rebuilt, writes_files
from helpers.contract.nests import with_arrays, wrapped
from helpers.contract.restoring import put_back
from helpers.datasets import leaves
from helpers.messages import essence

__all__ = ["Source", "look"]

#: Samples in a batch where `fit` cuts arrays into batches itself.
ARRAY_BATCH = 32

_WANTED = "a dataset, an array or a generator object"


@dataclass
class Source:
    """What is known about a dataset.

    Attributes
    ----------
    kind : str
        Such as ``"tf.data"``, ``"arrays"`` or ``"generator"``.
    element : nest or None
        A signature, or one batch; None where neither is known.
    length : int or None
        Batches in an epoch; None where it is not known.
    endless : bool
        The dataset has no end.
    raises : bool
        Its generator has no way out but an error.
    batches : dict of str to nest
        Batches that were looked at, by name: ``"first batch"``.
    unseen : str
        Why no batch was looked at.
    cut : dict of str to (str, str)
        Leaves whose fractions a signature of whole numbers cuts off: the dtypes of both.
    problem : tuple or None
        What went wrong on the way: (what is, what should be, the change).
    """

    kind: str
    element: Any = None
    length: int | None = None
    endless: bool = False
    batches: dict[str, Any] = field(default_factory=dict)
    unseen: str = ""
    problem: tuple[str, str, str] | None = None
    shuffles: bool = False
    order_dropped: bool = False
    repeats_random: bool = False
    ends: bool = False
    raises: bool = False
    cut: dict[str, tuple[str, str]] = field(default_factory=dict)
    counted: int | None = None


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
        source = _look_at_dataset(dataset, batch is None, whole_pass)
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
    elif any(isinstance(part, tf.data.Dataset) for part in tf.nest.flatten(dataset)):
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


def _look_at_dataset(dataset: tf.data.Dataset, read: bool, whole_pass: bool) -> Source:
    cardinality = int(dataset.cardinality())
    source = Source("tf.data", element=dataset.element_spec)
    source.length = cardinality if cardinality >= 0 else None
    source.endless = cardinality == tf.data.INFINITE_CARDINALITY
    chain = chain_of(dataset)
    repeated = any(type(part).__name__ == "_RepeatDataset" for part in chain)
    generators = [found for found in map(generator_of, chain) if found is not None]
    roots = sum(not part._inputs() for part in chain)
    cut = any(type(part).__name__ in ("_TakeDataset", "_TakeWhileDataset") for part in chain)
    reachable = [thing for part in chain for thing in functions.reachable(function_of(part))]
    shuffles = [part for part in chain if type(part).__name__ == "_ShuffleDataset"]
    source.shuffles = any(part._reshuffle_each_iteration is not False for part in shuffles)
    source.shuffles |= any(functions.is_flow(thing) and thing.shuffle for thing in reachable)
    for generator in generators:
        _look_at_function(generator, source)
    if source.length is None and cardinality != tf.data.INFINITE_CARDINALITY:
        # take() ends anything, and a zip ends with its shortest part.
        source.endless &= not cut and roots == len(generators) == 1
        source.raises &= not cut
    if not generators and source.length is None and not source.endless:
        source.ends = all(_has_end(part) for part in chain)
    source.ends &= not repeated
    used_up = functions.used_up(reachable)
    if source.problem or not read:
        return source
    if used_up:
        source.unseen = f"a look would use up the {used_up} that its function draws from"
        return source
    if any(map(writes_files, chain)):
        source.unseen = "a look would write files"
        return source
    if any(type(part).__name__ in ("_ShuffleDataset", "CacheDataset") for part in chain):
        plain = rebuilt(dataset)
        source.order_dropped = plain is not None and bool(shuffles)
        if plain is None and any(part._seed is not None and source.shuffles for part in shuffles):
            source.unseen = "a look would move its seeded shuffle on by one epoch"
            return source
        dataset = dataset if plain is None else plain
    while type(dataset).__name__ == "_PrefetchDataset":
        dataset = dataset._input_dataset
    with put_back(reachable):
        _read(dataset, source, whole_pass)
    for part in chain:
        if source.batches and _wants_whole_numbers(part):
            with put_back(reachable):
                _compare_with_signature(part, source)
    return source


def _wants_whole_numbers(part: tf.data.Dataset) -> bool:
    """Say whether it is a generator of the caller's own, with whole numbers in its signature."""
    function = generator_of(part)
    own = function is not None and not (function.__module__ or "").startswith("helpers.")
    return own and any(spec.dtype.is_integer for spec in _dense(part.element_spec).values())


def _dense(nest: Any) -> dict[str, Any]:
    return {path: leaf for path, leaf in leaves(wrapped(nest)) if isinstance(leaf, tf.TensorSpec)}


def _compare_with_signature(part: tf.data.Dataset, source: Source) -> None:
    """Look at what the generator yields before tf.data cuts it, without a word."""
    try:
        first = dict(leaves(wrapped(with_arrays(next(iter(generator_of(part)()))))))
    except Exception:  # the reading itself has told what is wrong
        return
    for path, spec in _dense(part.element_spec).items():
        value = np.asarray(first.get(path, 0))
        if spec.dtype.is_integer and value.dtype.kind == "f" and (value != np.trunc(value)).any():
            source.cut[path] = (value.dtype.name, spec.dtype.name)


def _has_end(part: tf.data.Dataset) -> bool:
    """Say whether this part of a chain cannot go on for ever by itself."""
    if not part._inputs():
        files = type(part).__name__.startswith(("TFRecord", "TextLine", "FixedLength"))
        return files or int(part.cardinality()) >= 0
    return "repeat" not in functions.names_in(function_of(part))


def _read(dataset: Iterable[Any], source: Source, whole_pass: bool) -> None:
    number = 0
    try:
        for batch in dataset if whole_pass and not source.endless else islice(dataset, 2):
            number += 1
            name = {1: "first batch", 2: "second batch"}.get(number, "last batch")
            source.batches[name] = batch
    except Exception as error:
        source.problem = (
            f"batch {number + 1} cannot be read: {essence(error, 250)}".replace("\n    ", " "),
            "a batch",
            "mend the generator; next(generator()) shows its own error",
        )
        return
    if (number < 2 or whole_pass) and not source.order_dropped:
        source.counted = number


def _look_at_function(function: Callable[[], Any], source: Source) -> None:
    """Start the generator without running it, to see if it ends, and if it is a new one."""
    names = functions.names_in(function)
    of_flow = {"flow", "flow_from_directory", "flow_from_dataframe"} & names
    if of_flow and not functions.yields(function):
        source.endless = source.repeats_random = True
        return
    if not isinstance(function, types.FunctionType | types.MethodType | functools.partial):
        return
    reachable = functions.reachable(function)
    same = [thing for thing in reachable if isinstance(thing, Iterator)]
    if source.length is not None and not same:
        return
    with put_back(reachable):
        try:
            started = function()
        except Exception:  # reading it will tell
            return
    if isinstance(started, types.GeneratorType) and not any(started is thing for thing in same):
        if source.length is None:
            _see_end(started, reachable, source)
    elif functions.is_flow(started) or isinstance(started, itertools.cycle | itertools.count):
        source.endless |= source.length is None
    elif any(started is thing for thing in same):
        source.problem = (
            f"the same {type(started).__name__} at every call: empty the second time",
            "a new one at every call",
            "pass the generator function itself to from_generator, not lambda: generator",
        )


def _see_end(generator: types.GeneratorType, reachable: list[Any], source: Source) -> None:
    ending = bytecode.ending(generator.gi_code)
    source.endless |= ending == bytecode.NEVER
    source.raises |= ending == bytecode.RAISES
    source.ends = ending == bytecode.RETURNS and not any(map(functions.may_be_endless, reachable))


def _look_at_generator(generator: types.GeneratorType, read: bool, whole_pass: bool) -> Source:
    """Look at another generator of the same code: a step of this one would be missing in fit."""
    source = Source("generator")
    if generator.gi_frame is None:
        change = "call its function once more for each fit"
        source.problem = ("a generator object that has run out", "a fresh one", change)
        return source
    again = functions.started_anew(generator)
    reachable = functions.reachable(again)
    _see_end(generator, reachable, source)
    if not read:
        return source
    used_up = functions.used_up(reachable)
    if again is None:
        source.unseen = "it has begun, and a look would use up its next batch"
    elif used_up:
        source.unseen = f"a look would use up the {used_up} that it draws from"
    else:
        with put_back(reachable), contextlib.closing(again()) as twin:
            _read(twin, source, whole_pass)
        source.element = source.batches.get("first batch")
    return source


def _look_at_numbered(dataset: Any, read: bool) -> Source:
    source = Source("PyDataset")
    try:
        length = dataset.num_batches if hasattr(dataset, "num_batches") else len(dataset)
    except NotImplementedError:
        source.problem = ("no length", "a number of batches", "write __len__ of the class")
        return source
    source.endless = length is None
    source.length = length
    source.shuffles = bool(getattr(dataset, "shuffle", False))
    if not read:
        return source
    numbers = {"first batch": 0}
    if length is not None and length > 1:
        numbers["last batch"] = length - 1
    with put_back(functions.reachable(dataset)):
        try:
            for name, number in numbers.items():
                source.batches[name] = dataset[number]
        except Exception as error:
            source.problem = (
                f"batch {number} cannot be read: {essence(error, 250)}".replace("\n    ", " "),
                "a batch",
                "mend __getitem__; dataset[0] shows its own error",
            )
            return source
    source.element = source.batches["first batch"]
    return source


def _is_batch(part: Any) -> bool:
    return isinstance(part, tuple) and len(part) in (2, 3) and _is_arrays(part)


def _is_arrays(dataset: Any) -> bool:
    parts = tf.nest.flatten(with_arrays(dataset))
    return bool(parts) and all(hasattr(part, "shape") or part is None for part in parts)


def _look_at_arrays(dataset: Any) -> Source:
    source = Source("arrays", element=dataset)
    dataset = with_arrays(dataset)
    shapes = [part.shape for part in tf.nest.flatten(dataset) if part is not None]
    lengths = {int(shape[0]) for shape in shapes if len(shape) and shape[0] is not None}
    if len(lengths) == 1:
        source.length = -(-lengths.pop() // ARRAY_BATCH)

    def head(part: Any) -> Any:
        if part is None or isinstance(part, tf.SparseTensor) or not len(part.shape):
            return part
        return part[:ARRAY_BATCH]

    # Not cut where lengths differ: the difference is what should be seen.
    source.batches = {"arrays": tf.nest.map_structure(head, dataset) if source.length else dataset}
    return source
