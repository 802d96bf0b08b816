"""A look at a dataset before training, and what it moves put back.

What can be started afresh is read: a dataset, a generator function, an object with `peek`. Of a
generator object nothing is, since each batch that it yields would be missing in `fit`. Flows and
random states are put back; what a function changes elsewhere (a file, a counter) is not.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import itertools
import queue
import types
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from helpers.datasets import leaves, parts_of
from helpers.messages import shown

#: Samples in a batch where `fit` cuts arrays into batches itself.
ARRAY_BATCH = 32
#: Batches that are counted, not looked at, to see whether a dataset of unknown length ends.
COUNTED = 100

_LIBRARIES = ("tensorflow", "keras", "numpy", "pandas", "builtins", "scipy", "PIL", "matplotlib")
_STATE = ("batch_index", "total_batches_seen", "index_array")
# Operations with a state of their own, and the ones without it; how many inputs these have.
_SHARED = {"ShuffleDatasetV3": ("ShuffleDataset", 4), "CacheDatasetV2": ("CacheDataset", 2)}
_IN_MEMORY = (np.ndarray, tf.Tensor)
_WANTED = "a dataset, arrays or a generator object"


@dataclass
class Source:
    """What is known about a dataset.

    `element` is its signature, or one batch. `length` is None where it is not known; `counted` is
    the number of batches of a pass that ended, `seen` that of any. `held` is what its functions
    can reach, `made` the flows that a pass makes, `chain` the parts of a ``tf.data.Dataset``.
    `cut` has the dtypes of leaves whose fractions a signature of integers cuts off.
    `unseen` says why no batch was looked at, `problem` (what is, what should be, the change) why
    `fit` cannot start.
    """

    kind: str
    start: Callable[[], Iterator[Any]] | None = None
    last: Callable[[], Any] | None = None
    element: Any = None
    length: int | None = None
    endless: bool = False
    counted: int | None = None
    seen: int = 0
    unseen: str = ""
    problem: tuple[str, str, str] | None = None
    chain: list[Any] = field(default_factory=list)
    held: list[Any] = field(default_factory=list)
    moved: list[Any] = field(default_factory=list)
    made: list[Any] = field(default_factory=list)
    overwritten: str = ""
    cut: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def flows(self) -> list[Any]:
        """Return the flows that its functions can reach."""
        return [thing for thing in self.held if is_flow(thing)]


def look(dataset: Any, batch: Any = None) -> Source:
    """Return what can be known of what is to be passed to ``fit`` without reading it."""
    source = _kind_of(dataset)
    kinds = (Iterator, queue.Queue, queue.SimpleQueue)
    iterators = [t for t in source.held if isinstance(t, kinds) and not is_flow(t)]
    if batch is not None:
        source.start, source.last, source.unseen = (lambda: iter([batch])), None, ""
        source.element = batch if source.element is None else source.element
    elif source.problem is None and source.start and iterators:
        name = type(iterators[0]).__name__
        source.start, source.unseen = None, f"a look would use up the {name} that it reads from"
    return source


def _kind_of(dataset: Any) -> Source:
    if isinstance(dataset, tf.data.Dataset):
        return _of_dataset(dataset)
    if isinstance(dataset, keras.utils.PyDataset):
        return _of_numbered(dataset)
    if isinstance(dataset, types.GeneratorType):
        source = Source("generator", unseen="a look would take batches from a generator object")
        source.held = reachable(dataset)[1:]
        if inspect.getgeneratorstate(dataset) == inspect.GEN_CLOSED:
            change = "call its function again, or datasets.from_batches(function, length=…)"
            source.problem = ("a generator object that has run out", "a fresh one", change)
        return source
    if callable(dataset) and not isinstance(dataset, type):
        length = len(dataset) if hasattr(dataset, "__len__") else None
        return Source("function", lambda: iter(dataset()), length=length, held=reachable(dataset))
    return _of_arrays(dataset)


def _of_dataset(dataset: tf.data.Dataset) -> Source:
    source = Source("tf.data", element=dataset.element_spec, chain=chain_of(dataset))
    length = int(dataset.cardinality())
    source.length, source.endless = (length if length >= 0 else None), length == -1
    source.held = [thing for part in source.chain for thing in reachable(function_of(part))]
    kinds = {type(part).__name__ for part in source.chain}
    files = [p for p in source.chain if type(p).__name__ == "CacheDataset" and p._filename.numpy()]
    if files or {"_SaveDataset", "_SnapshotDataset"} & kinds:
        source.unseen = "a look would write files"
        return source
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False  # nothing is read ahead
    while type(dataset).__name__ == "_PrefetchDataset":
        dataset = dataset._input_dataset
    if {"_ShuffleDataset", "CacheDataset"} & kinds:
        with contextlib.suppress(Exception):  # a copy that shares no counter, and no cache
            variant = tf.data.experimental.to_variant(dataset)
            text = tf.raw_ops.DatasetToGraphV2(input_dataset=variant, external_state_policy=1)
            graph = tf.compat.v1.GraphDef.FromString(text.numpy())
            for node in [*graph.node, *(n for f in graph.library.function for n in f.node_def)]:
                if node.op in _SHARED:
                    node.op, count = _SHARED[node.op]
                    del node.input[count:]
            variant = tf.raw_ops.DatasetFromGraph(graph_def=graph.SerializeToString())
            dataset = tf.data.experimental.from_variant(variant, dataset.element_spec)
    source.start = lambda: iter(dataset.with_options(options))
    return source


def _of_numbered(dataset: Any) -> Source:
    source = Source("PyDataset", held=reachable(dataset))
    try:
        length = dataset.num_batches if hasattr(dataset, "num_batches") else len(dataset)
    except Exception as error:
        change = "write __len__ of the class"
        source.problem = (f"no length: {short(error)}", "a number of batches", change)
        return source
    source.length, source.endless = length, length is None
    numbers = itertools.count() if length is None else range(length)
    source.start = lambda: (dataset[number] for number in numbers)
    source.last = (lambda: dataset[length - 1]) if length and length > 2 else None
    return source


def _of_arrays(dataset: Any) -> Source:
    """Look at arrays, or say what else it is that fit does not take."""
    source = Source("unknown", unseen=f"a {type(dataset).__name__} is not known here")
    source.problem = _mistaken(dataset, type(dataset).__name__)
    if source.problem or not (hasattr(dataset, "shape") or parts_of(dataset)):
        return source
    parts = [arrays_of(leaf) for _, leaf in leaves(dataset)]
    sizes = {len(part) for part in parts if getattr(part, "ndim", 0)}
    length = -(-sizes.pop() // ARRAY_BATCH) if len(sizes) == 1 else None
    return Source("arrays", lambda: iter([dataset]), element=dataset, length=length)


def _mistaken(dataset: Any, kind: str) -> tuple[str, str, str] | None:
    """Return what is wrong with something that no `fit` takes, None if nothing is known to be."""
    found, change = f"a {kind}", ""
    if dataset is None:
        found, change = "None", "is a return missing in the function that makes it?"
    elif any(isinstance(part, tf.data.Dataset) for _, part in leaves(dataset)):
        found += " with datasets in it"
        change = "tf.data.Dataset.zip(((input, input), targets)) makes one of them"
    elif isinstance(dataset, list) and len(dataset) > 1 and all(map(_is_batch, dataset)):
        found = f"a list of {len(dataset)} batches"
        change = "datasets.from_batches(lambda: batches, length=len(batches))"
    elif kind.endswith(("OwnedIterator", "NumpyIterator")):
        change = "pass the dataset itself"
    elif isinstance(dataset, Iterator | str | bytes | type | int | float):
        change = "write a generator function that yields whole batches, and datasets.from_batches"
    return (found, _WANTED, change) if change else None


def _is_batch(part: Any) -> bool:
    pair = isinstance(part, tuple) and len(part) in (2, 3)
    return pair and all(hasattr(leaf, "shape") for _, leaf in leaves(part))


def arrays_of(part: Any) -> Any:
    """Return the nest with tuples for lists, and an array for a list of numbers."""
    if is_list_of_values(part):
        with contextlib.suppress(ValueError):
            return np.asarray(part)
    children = [arrays_of(child) for _, _, child in parts_of(part, "part")]
    if isinstance(part, Mapping):
        return dict(zip(part, children, strict=True))
    return tuple(children) if isinstance(part, tuple | list) else part


def is_list_of_values(part: Any) -> bool:
    """Say whether it is a list of numbers or strings, or of such lists: an array is meant."""
    plain = (bool, int, float, str, bytes, np.generic)
    filled = isinstance(part, list) and len(part) > 0
    return filled and all(isinstance(one, plain) or is_list_of_values(one) for one in part[:100])


def read(source: Source, options: dict[str, Any]) -> Generator[tuple[str, Any], None, None]:
    """Yield ``(name, batch)`` of the first two batches, or of all; note what comes to light.

    A dataset of unknown length is read on, to see where it ends, without a look at its batches.
    """
    steps, limit, whole = (options[key] for key in ("steps_per_epoch", "limit", "whole_pass"))
    names = {1: "arrays" if source.kind == "arrays" else "first batch", 2: "second batch"}
    last = min(steps or limit, limit) if whole else 2
    stop, held = last, (None, dict[str, bytes]())
    if source.length is None and not source.endless and source.kind in ("tf.data", "function"):
        wanted = min(max([COUNTED, *(len(flow) for flow in source.flows)]), limit)
        wanted = min(steps * options["epochs"], max(steps, COUNTED)) if steps else wanted
        stop = max(last, wanted)
    try:
        for batch in itertools.islice(source.start(), stop + 1):  # type: ignore[misc]
            source.seen += 1
            if source.seen == 1:
                held = (batch, _copies(batch))
            elif source.seen == 2:
                source.overwritten = source.overwritten or _changed(*held)
            if source.seen <= last:
                yield names.get(source.seen, f"batch {source.seen}"), batch
            elif source.seen > stop:
                break
        else:
            source.counted = source.seen
        if source.last is not None and not whole:
            yield "last batch", source.last()
    except Exception as error:
        change = "fix the generator; next(generator()) shows its own error"
        change = "fix __getitem__; dataset[0] shows it" if source.kind == "PyDataset" else change
        found = f"batch {source.seen + 1} cannot be read: {short(error)}"
        change = "" if "pass signature=" in found else change
        source.problem = (found, "a batch", change)


def _copies(batch: Any) -> dict[str, bytes]:
    """Return the bytes of each array of numbers; of strings they would be where these stand."""
    held = [(path, leaf) for path, leaf in leaves(batch) if isinstance(leaf, _IN_MEMORY)]
    found = [(path, np.asarray(leaf)) for path, leaf in held]
    return {path: leaf.tobytes() for path, leaf in found if leaf.dtype != object}


def _changed(batch: Any, copies: dict[str, bytes]) -> str:
    """Return the leaf of the first batch that the second one has overwritten."""
    now = _copies(batch)
    return next((path for path in copies if now[path] != copies[path]), "")


def refusal(call: Callable[[], Any]) -> str:
    """Return the error that a call raises, in the lines that matter as one; empty for none."""
    raised = True
    with contextlib.redirect_stdout(io.StringIO()) as text, shown(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call()
        raised = False
    return " ".join(text.getvalue().split()) if raised else ""


def short(error: Exception) -> str:
    """Return the lines of an error that matter, as one."""

    def fail() -> None:
        raise error

    return refusal(fail)


def look_below(source: Source) -> None:
    """Run the generator functions below a dataset, to see what it hides and which flows move."""
    before = [flow.total_batches_seen for flow in source.flows]
    for part in filter(generator_of, source.chain):
        with contextlib.suppress(Exception):  # reading the dataset tells what is wrong
            started = generator_of(part)()
            if any(thing is started for thing in source.held) and not is_flow(started):
                found = f"the same {type(started).__name__} at every call: empty the second time"
                change = "pass the generator function itself to from_generator, not a lambda of it"
                source.problem = (found, "a new one at every call", change)
            elif not source.unseen:
                source.endless |= source.length is None and is_flow(started)
                batches, held = iter(started), {id(thing) for thing in source.held}
                first = next(batches)
                flows = [thing for thing in reachable(batches) if is_flow(thing)]
                source.made += [flow for flow in flows if id(flow) not in held]
                copies = _copies(first)
                source.cut |= _cut(first, part.element_spec)
                source.cut |= _cut(next(batches), part.element_spec)
                source.overwritten = source.overwritten or _changed(first, copies)
    pairs = zip(source.flows, before, strict=True)
    source.moved = [flow for flow, count in pairs if flow.total_batches_seen != count]


def _cut(batch: Any, spec: Any) -> dict[str, tuple[str, str]]:
    """Return the leaves whose fractions the spec's integers cut off: both dtypes of each."""
    found, given = {}, dict(leaves(arrays_of(batch)))
    for path, leaf in leaves(spec):
        if isinstance(leaf, tf.TensorSpec) and leaf.dtype.is_integer:
            value = np.asarray(given.get(path, 0))
            if value.dtype.kind == "f" and (value != np.trunc(value)).any():
                found[path] = (value.dtype.name, leaf.dtype.name)
    return found


def chain_of(dataset: tf.data.Dataset) -> list[Any]:
    """Return the dataset and all that it is made of, itself first."""
    return [dataset, *(part for below in dataset._inputs() for part in chain_of(below))]


def function_of(part: Any) -> Any:
    """Return the function that ``map``, ``flat_map`` and their kind were given, or None."""
    return getattr(getattr(part, "_map_func", None), "_func", None)


def generator_of(part: Any) -> Any:
    """Return the function that was passed to ``from_generator``, or None."""
    function = function_of(part)
    if "_from_generator.<locals>" not in getattr(function, "__qualname__", ""):
        return None
    state = [t for t in reachable(function) if type(t).__name__ == "_GeneratorState"]
    starter = inspect.getclosurevars(function).nonlocals["get_iterator_id_fn"]
    given = inspect.getclosurevars(starter).nonlocals.get("args", ())
    return functools.partial(state[0]._generator, *(one.numpy() for one in given))


def is_flow(thing: Any) -> bool:
    """Say whether it is what ``ImageDataGenerator.flow*`` returns."""
    return hasattr(type(thing), "_flow_index")


def reachable(start: Any, limit: int = 1000) -> list[Any]:
    """Return the objects that a function names or holds; read only."""
    found: dict[int, Any] = {}
    waiting = [start]
    while waiting and len(found) < limit:
        thing = waiting.pop()
        if id(thing) not in found and not isinstance(thing, type | types.ModuleType | str):
            found[id(thing)] = thing
            with contextlib.suppress(Exception):
                waiting += _held_by(thing)
    return list(found.values())


def _held_by(thing: Any) -> list[Any]:
    if isinstance(thing, functools.partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, types.MethodType):
        return [thing.__func__, thing.__self__]
    module = getattr(thing, "__module__", None) or "builtins"
    of_library = module.startswith(_LIBRARIES)
    if isinstance(thing, types.FunctionType):
        held = inspect.getclosurevars(thing)
        named = [] if of_library and module != "builtins" else held.globals.values()
        return [*held.nonlocals.values(), *(thing.__defaults__ or ()), *named]
    if isinstance(thing, types.GeneratorType):
        return [*inspect.getgeneratorlocals(thing).values()]
    if isinstance(thing, Mapping | list | tuple):
        return [child for _, _, child in parts_of(thing, "held")] if len(thing) <= 50 else []
    if type(thing).__name__ == "_GeneratorState":
        return [thing._generator]
    closed = is_flow(thing) or of_library or isinstance(thing, keras.layers.Layer)
    closed |= type(thing).__name__ == "_Epoch"  # one that was left; from_plan starts another
    return [] if closed else [*vars(thing).values()]


@contextlib.contextmanager
def put_back(held: list[Any]) -> Iterator[None]:
    """Put back, afterwards, what reading a batch moves on."""
    undo = [step for thing in held for step in _states(thing)]
    try:
        yield
    finally:
        for step in undo:
            step()


def _states(thing: Any) -> list[Callable[[], Any]]:
    if is_flow(thing):
        state = {name: vars(thing)[name] for name in _STATE}
        if inspect.getgeneratorstate(thing.index_generator) == inspect.GEN_CREATED:
            return [lambda: vars(thing).update(state, index_generator=thing._flow_index())]
        return [functools.partial(vars(thing).update, state)]
    if callable(thing) and hasattr(thing, "peek"):
        return [functools.partial(vars(thing).update, dict(vars(thing)))]
    if isinstance(thing, np.random.Generator):
        bits = thing.bit_generator
        return [functools.partial(setattr, bits, "state", bits.state)]
    if isinstance(thing, np.random.RandomState):
        return [functools.partial(thing.set_state, thing.get_state())]
    variables = [thing.state] if isinstance(thing, tf.random.Generator) else []
    if isinstance(thing, keras.layers.Layer):
        variables = [variable for variable in thing.variables if "seed" in variable.path]
    return [functools.partial(one.assign, one.numpy()) for one in variables]
