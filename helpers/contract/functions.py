"""What a generator function can reach, without running it."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from helpers.contract.bytecode import NEVER, ending

__all__ = [
    "is_filled",
    "is_flow",
    "is_own",
    "may_be_endless",
    "names_in",
    "reachable",
    "started_anew",
    "used_up",
    "yields",
]
_LIBRARIES = ("tensorflow", "keras", "numpy", "pandas", "builtins")


def reachable(start: Any, limit: int = 2000) -> list[Any]:
    """Return the objects that a function can reach: closures, defaults, globals it names."""
    found: list[Any] = []
    seen: set[int] = set()
    waiting = [start]
    while waiting and len(found) < limit:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type | types.ModuleType | str):
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
        held = [cell.cell_contents for cell in thing.__closure__ or () if is_filled(cell)]
        held += [*(thing.__defaults__ or ())]
        if not thing.__module__ or not thing.__module__.startswith(("tensorflow", "keras")):
            names = names_in(thing)
            held += [thing.__globals__[name] for name in names if name in thing.__globals__]
        return held
    if isinstance(thing, Mapping):
        return list(thing.values()) if len(thing) <= 50 else []
    if isinstance(thing, list | tuple):
        return list(thing) if len(thing) <= 50 else []
    if type(thing).__name__ == "_GeneratorState":
        return [thing._generator]
    if isinstance(thing, tf.data.Dataset | tf.Module | keras.layers.Layer) or is_flow(thing):
        return []
    return list(vars(thing).values()) if is_own(thing) else []


def is_own(thing: Any) -> bool:
    """Say whether it is an object of a class that is not a library's, with attributes."""
    module = type(thing).__module__ or ""
    return hasattr(thing, "__dict__") and not module.startswith(_LIBRARIES)


def is_filled(cell: Any) -> bool:
    """Say whether a closure's cell has a value yet."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _code_of(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__code__", None)


def names_in(function: Any) -> set[str]:
    """Return the names that a function's code uses, and the functions inside it."""
    names: set[str] = set()
    waiting = [_code_of(function)]
    while waiting:
        code = waiting.pop()
        if code is not None:
            names |= set(code.co_names)
            waiting += [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return names


def yields(function: Any) -> bool:
    """Say whether it is a generator function."""
    code = _code_of(function)
    return code is not None and bool(code.co_flags & inspect.CO_GENERATOR)


def may_be_endless(thing: Any) -> bool:
    """Say whether a generator that draws from this may go on for ever."""
    if is_flow(thing):
        return True
    endless = isinstance(thing, types.FunctionType) and yields(thing)
    if endless and ending(thing.__code__) == NEVER:
        return True
    return bool({"cycle", "count", "repeat"} & names_in(thing))


def is_flow(thing: Any) -> bool:
    """Say whether it is what ``ImageDataGenerator.flow*`` returns."""
    return all(hasattr(type(thing), name) for name in ("_flow_index", "_set_index_array"))


def used_up(things: list[Any]) -> str:
    """Return what a look would use up and cannot put back, as text; empty if there is nothing."""
    for thing in things:
        kind = type(thing)
        if isinstance(thing, Iterator) and not is_flow(thing):
            return kind.__name__
        if kind.__module__ in ("queue", "_queue", "multiprocessing.queues"):
            return kind.__name__
    return ""


def started_anew(generator: types.GeneratorType) -> Callable[[], Any] | None:
    """Return a function that starts the same generator again; None once it has begun.

    Before its first step a generator holds its arguments and closure as they were passed, so
    another can be made of its code. The given one stays where it is.
    """
    code, frame = generator.gi_code, generator.gi_frame
    if frame is None or inspect.getgeneratorstate(generator) != inspect.GEN_CREATED:
        return None
    held = dict(frame.f_locals)
    if any(name not in held for name in code.co_freevars):
        return None
    cells = tuple(types.CellType(held[name]) for name in code.co_freevars)
    function = types.FunctionType(code, frame.f_globals, code.co_name, None, cells)
    counts = (code.co_argcount, code.co_kwonlyargcount)
    positional = [held[name] for name in code.co_varnames[: counts[0]]]
    keywords = {name: held[name] for name in code.co_varnames[counts[0] : sum(counts)]}
    rest = list(code.co_varnames[sum(counts) :])
    if code.co_flags & inspect.CO_VARARGS:
        positional += held[rest.pop(0)]
    if code.co_flags & inspect.CO_VARKEYWORDS:
        keywords |= held[rest.pop(0)]
    return functools.partial(function, *positional, **keywords)
