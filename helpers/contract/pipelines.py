"""A look at a ``tf.data.Dataset``, and at the generator function below it."""

from __future__ import annotations

import functools
import itertools
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from helpers.contract import functions
from helpers.contract.chains import chain_of, function_of, generator_of, rebuilt, writes_files
from helpers.contract.nests import with_arrays, wrapped
from helpers.contract.restoring import put_back
from helpers.contract.source import Source, read, see_end
from helpers.datasets import leaves

__all__ = ["look_at_dataset"]


def look_at_dataset(dataset: tf.data.Dataset, values: bool, whole_pass: bool) -> Source:
    """Return what its signature and its parts tell and, for its values, the first batches."""
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
    if source.problem or not values:
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
        read(dataset, source, whole_pass)
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
            see_end(started, reachable, source)
    elif functions.is_flow(started) or isinstance(started, itertools.cycle | itertools.count):
        source.endless |= source.length is None
    elif any(started is thing for thing in same):
        source.problem = (
            f"the same {type(started).__name__} at every call: empty the second time",
            "a new one at every call",
            "pass the generator function itself to from_generator, not lambda: generator",
        )
