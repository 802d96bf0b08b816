"""A look at a dataset before training, without moving it on.

A look at a ``from_generator`` dataset starts its generator function. A function that only reads
arrays does not mind; one that draws from a shared flow, or counts its epochs, has moved on
afterwards. `look` therefore puts back what it can name: epochs counted by `helpers.generators`,
flows, random states, seeds of Keras layers. Where it finds something that cannot be put back (an
open iterator), it does not look, and says so.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import inspect
import random
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from helpers.messages import essence

__all__ = ["Source", "look"]

#: Samples in a batch where `fit` cuts arrays into batches itself.
ARRAY_BATCH = 32

# Operations that change the order or the number of elements, or nothing, but not what is in one.
_LEFT_OUT = {"_ShuffleDataset", "_PrefetchDataset", "CacheDataset", "_RepeatDataset"}
_LEFT_OUT |= {"_AssertCardinalityDataset", "_OptionsDataset"}
# A partial pass through these would leave files behind.
_WRITERS = {"_SaveDataset", "_SnapshotDataset", "_LoadDataset"}


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
    batches : dict of str to nest
        Batches that were looked at, by name: ``"first batch"``.
    unseen : str
        Why no batch was looked at.
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
        source = Source("generator", unseen="a look would use up its first batch")
        source.endless = _never_returns(dataset.gi_code)
    elif callable(getattr(dataset, "peek", None)) and callable(dataset):
        source = Source("epochs", length=len(dataset), batches={"first batch": dataset.peek()})
        source.element = source.batches["first batch"]
        source.problem = (
            f"a {type(dataset).__name__} object",
            "a dataset, an array or a generator object",
            "datasets.from_batches(…) makes a dataset of it",
        )
    elif callable(dataset):
        source = Source("function", unseen="fit does not take a function")
        source.problem = (
            "a function",
            "a dataset, an array or a generator object",
            "datasets.from_batches(function, length=…), or call it: function()",
        )
    elif _is_arrays(dataset):
        source = _look_at_arrays(dataset)
    else:
        source = Source("unknown", unseen=f"fit does not take a {type(dataset).__name__}")
        source.problem = (
            f"a {type(dataset).__name__}",
            "a dataset, an array or a generator object",
            "write a generator function that yields whole batches, and datasets.from_batches",
        )
    if batch is not None:
        source.batches, source.unseen = {"batch": batch}, ""
        source.element = batch if source.element is None else source.element
    return source


def chain_of(dataset: tf.data.Dataset) -> list[tf.data.Dataset]:
    """Return the dataset and all that it is made of, itself first."""
    found, waiting = [], [dataset]
    while waiting:
        found.append(waiting.pop())
        waiting.extend(found[-1]._inputs())
    return found


def _look_at_dataset(dataset: tf.data.Dataset, read: bool, whole_pass: bool) -> Source:
    cardinality = int(dataset.cardinality())
    source = Source("tf.data", element=dataset.element_spec)
    source.length = cardinality if cardinality >= 0 else None
    source.endless = cardinality == tf.data.INFINITE_CARDINALITY
    chain = chain_of(dataset)
    repeated = any(type(part).__name__ == "_RepeatDataset" for part in chain)
    generators = [found for found in map(_generator_of, chain) if found is not None]
    reachable = [thing for part in chain for thing in _reachable(_function_of(part))]
    shuffles = [part for part in chain if type(part).__name__ == "_ShuffleDataset"]
    source.shuffles = any(part._reshuffle_each_iteration is not False for part in shuffles)
    source.shuffles |= any(_is_flow(thing) and thing.shuffle for thing in reachable)
    for generator in generators:
        _look_at_function(generator, source)
    source.ends &= not repeated
    blocked = [thing for thing in reachable if _cannot_be_put_back(thing)]
    if source.problem or not read:
        return source
    if blocked:
        source.unseen = (
            f"a look would use up the {type(blocked[0]).__name__} that its function draws from"
        )
        return source
    if any(type(part).__name__ in _WRITERS or _caches_in_file(part) for part in chain):
        source.unseen = "a look would write files"
        return source
    if any(type(part).__name__ in ("_ShuffleDataset", "CacheDataset") for part in chain):
        rebuilt = _rebuilt(dataset)
        source.order_dropped = rebuilt is not None and bool(shuffles)
        if rebuilt is None and any(part._seed is not None and source.shuffles for part in shuffles):
            source.unseen = "a look would move its seeded shuffle on by one epoch"
            return source
        dataset = dataset if rebuilt is None else rebuilt
    while type(dataset).__name__ == "_PrefetchDataset":
        dataset = dataset._input_dataset
    with _put_back(reachable):
        _read(dataset, source, whole_pass)
    return source


def _read(dataset: tf.data.Dataset, source: Source, whole_pass: bool) -> None:
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
    names = _names_in(function)
    if {"flow", "flow_from_directory", "flow_from_dataframe"} & names and not _yields(function):
        source.endless = source.repeats_random = True
        return
    if not isinstance(function, types.FunctionType | functools.partial):
        return
    reachable = _reachable(function)
    same = [thing for thing in reachable if isinstance(thing, Iterator)]
    if source.length is not None and not same:
        return
    with _put_back(reachable):
        started = function()
    if isinstance(started, types.GeneratorType) and not any(started is thing for thing in same):
        source.endless |= source.length is None and _never_returns(started.gi_code)
        source.ends = not source.endless and not any(map(_may_be_endless, reachable))
    elif _is_flow(started):
        source.endless |= source.length is None
    elif any(started is thing for thing in same):
        source.problem = (
            f"the same {type(started).__name__} at every call: empty the second time",
            "a new one at every call",
            "pass the generator function itself to from_generator, not lambda: generator",
        )


def _look_at_numbered(dataset: Any, read: bool) -> Source:
    source = Source("PyDataset")
    length = dataset.num_batches if hasattr(dataset, "num_batches") else len(dataset)
    source.endless = length is None
    source.length = length
    source.shuffles = bool(getattr(dataset, "shuffle", False))
    if not read:
        return source
    numbers = {"first batch": 0}
    if length is not None and length > 1:
        numbers["last batch"] = length - 1
    with _put_back([dataset]):
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


def _is_arrays(dataset: Any) -> bool:
    parts = tf.nest.flatten(dataset)
    return bool(parts) and all(hasattr(part, "shape") or part is None for part in parts)


def _look_at_arrays(dataset: Any) -> Source:
    source = Source("arrays", element=dataset)
    shapes = [part.shape for part in tf.nest.flatten(dataset) if part is not None]
    lengths = {int(shape[0]) for shape in shapes if len(shape) and shape[0] is not None}
    if len(lengths) == 1:
        source.length = -(-lengths.pop() // ARRAY_BATCH)

    def head(part: Any) -> Any:
        return part if part is None or not len(part.shape) else part[:ARRAY_BATCH]

    # Not cut where lengths differ: the difference is what should be seen.
    source.batches = {"arrays": tf.nest.map_structure(head, dataset) if source.length else dataset}
    return source


# Where a generator function comes from, and what it draws on.


def _function_of(dataset: tf.data.Dataset) -> Any:
    wrapped = getattr(dataset, "_map_func", None)
    return getattr(wrapped, "_func", None)


def _generator_of(dataset: tf.data.Dataset) -> Any:
    """Return the function that was passed to ``from_generator``, or None."""
    function = _function_of(dataset)
    if getattr(function, "__qualname__", "") != "_from_generator.<locals>.flat_map_fn":
        return None
    for thing in _reachable(function):
        if type(thing).__name__ == "_GeneratorState":
            return thing._generator
    return None


def _reachable(start: Any, limit: int = 2000) -> list[Any]:
    """Return the objects that a function can reach: closures, defaults, globals it names."""
    found: list[Any] = []
    seen: set[int] = set()
    waiting = [start]
    while waiting and len(found) < limit:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type | types.ModuleType | np.ndarray | str):
            continue
        seen.add(id(thing))
        found.append(thing)
        waiting.extend(_held_by(thing))
    return found


def _held_by(thing: Any) -> list[Any]:
    if isinstance(thing, functools.partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, types.MethodType):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, types.FunctionType):
        held = [cell.cell_contents for cell in thing.__closure__ or () if _is_filled(cell)]
        held += [*(thing.__defaults__ or ())]
        if not thing.__module__ or not thing.__module__.startswith(("tensorflow", "keras")):
            names = _names_in(thing)
            held += [thing.__globals__[name] for name in names if name in thing.__globals__]
        return held
    if isinstance(thing, Mapping):
        return list(thing.values()) if len(thing) <= 50 else []
    if isinstance(thing, list | tuple):
        return list(thing) if len(thing) <= 50 else []
    if type(thing).__name__ == "_GeneratorState":
        return [thing._generator]
    if isinstance(thing, tf.data.Dataset | tf.Module | keras.layers.Layer) or _is_flow(thing):
        return []
    module = type(thing).__module__ or ""
    if module.startswith(("tensorflow", "keras", "numpy", "pandas", "builtins")):
        return []
    return list(getattr(thing, "__dict__", {}).values())


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _code_of(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__code__", None)


def _names_in(function: Any) -> set[str]:
    names: set[str] = set()
    waiting = [_code_of(function)]
    while waiting:
        code = waiting.pop()
        if code is not None:
            names |= set(code.co_names)
            waiting += [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return names


def _yields(function: Any) -> bool:
    code = _code_of(function)
    return code is not None and bool(code.co_flags & inspect.CO_GENERATOR)


def _never_returns(code: types.CodeType) -> bool:
    """Say whether a generator's code has no way to end: ``while True`` without break or return."""
    returns = ("RETURN_VALUE", "RETURN_CONST")
    return not any(step.opname in returns for step in dis.get_instructions(code))


def _may_be_endless(thing: Any) -> bool:
    """Say whether a generator that draws from this may go on for ever."""
    if _is_flow(thing):
        return True
    endless = isinstance(thing, types.FunctionType) and _yields(thing)
    if endless and _never_returns(thing.__code__):
        return True
    return bool({"cycle", "count", "repeat"} & _names_in(thing))


# What moves on when a batch is drawn.


def _is_flow(thing: Any) -> bool:
    return all(hasattr(type(thing), name) for name in ("_flow_index", "_set_index_array"))


def _cannot_be_put_back(thing: Any) -> bool:
    return isinstance(thing, Iterator) and not _is_flow(thing)


@contextlib.contextmanager
def _put_back(things: list[Any]) -> Iterator[None]:
    """Put back, afterwards, all of these that drawing a batch moves on."""
    undo: list[Callable[[], Any]] = [
        functools.partial(np.random.set_state, np.random.get_state()),
        functools.partial(random.setstate, random.getstate()),
    ]
    for thing in things:
        if _is_flow(thing):
            undo.append(functools.partial(_restore_flow, thing, _flow_state(thing)))
        elif isinstance(getattr(thing, "_epochs_started", None), int):
            undo.append(functools.partial(setattr, thing, "_epochs_started", thing._epochs_started))
        elif isinstance(thing, np.random.Generator):
            bits = thing.bit_generator
            undo.append(functools.partial(setattr, bits, "state", bits.state))
        elif isinstance(thing, np.random.RandomState):
            undo.append(functools.partial(thing.set_state, thing.get_state()))
        elif isinstance(thing, random.Random):
            undo.append(functools.partial(thing.setstate, thing.getstate()))
        elif isinstance(thing, tf.random.Generator):
            undo.append(functools.partial(thing.state.assign, tf.identity(thing.state)))
        elif isinstance(thing, keras.layers.Layer):
            for variable in thing.variables:
                if "seed" in variable.path:
                    undo.append(functools.partial(variable.assign, variable.numpy()))
    try:
        yield
    finally:
        for step in undo:
            step()


_FLOW_STATE = ("batch_index", "total_batches_seen", "index_array")


def _flow_state(flow: Any) -> tuple[dict[str, Any], bool]:
    state = {name: getattr(flow, name) for name in _FLOW_STATE}
    started = inspect.getgeneratorstate(flow.index_generator) != inspect.GEN_CREATED
    return state, started


def _restore_flow(flow: Any, saved: tuple[dict[str, Any], bool]) -> None:
    """Set a flow back: its index generator reads these attributes afresh at each batch."""
    state, started = saved
    for name, value in state.items():
        setattr(flow, name, value)
    if not started:
        flow.index_generator = flow._flow_index()


# The same elements without a shuffle, whose order moves on with every pass.


def _caches_in_file(dataset: tf.data.Dataset) -> bool:
    return type(dataset).__name__ == "CacheDataset" and bool(dataset._filename.numpy())


def _rebuilt(dataset: tf.data.Dataset) -> tf.data.Dataset | None:
    """Return the dataset without shuffle, cache and repeat; None where that cannot be done."""
    name = type(dataset).__name__
    if not dataset._inputs():
        return dataset
    if name == "_FlatMapDataset" and _generator_of(dataset) is not None:
        return dataset
    if name == "_ZipDataset":
        parts = [_rebuilt(part) for part in dataset._inputs()]
        if any(part is None for part in parts):
            return None
        return tf.data.Dataset.zip(tf.nest.pack_sequence_as(dataset._datasets, parts))
    if len(dataset._inputs()) != 1:
        return None
    below = _rebuilt(dataset._inputs()[0])
    if below is None or name in _LEFT_OUT:
        return below
    if name in ("_BatchDataset", "_ParallelBatchDataset"):
        return below.batch(dataset._batch_size, drop_remainder=dataset._drop_remainder)
    if name in ("_MapDataset", "_ParallelMapDataset"):
        return below.map(_function_of(dataset))
    if name in ("_TakeDataset", "_SkipDataset"):
        return below  # of which elements makes no difference here
    return None
